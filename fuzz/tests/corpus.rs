//! Every target over its corpus: each file as it is, and many times with a few bytes changed. The changes are the same in
//! every run, and more of them with `CORPUS_CHANGED=100000`: that is mutation without coverage, no substitute for
//! `make fuzz`. What fuzzing once found lies in the corpus too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;
use swarm_fuzz::TARGETS;

/// Changed copies of each file, where nobody asks for more.
const CHANGED: u64 = 200;
/// A corpus has at least this many files.
const LEAST: usize = 3;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder(target)).expect("a corpus").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Numbers that look random (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// One to four bytes changed, taken out or put in; now and then the end cut off.
fn changed(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(bytes.len());
        let byte = [0, 1, 0x7f, 0x80, 0xff, numbers.below(256) as u8][numbers.below(6)];
        match numbers.below(8) {
            0 if !bytes.is_empty() => drop(bytes.remove(at)),
            1 => bytes.insert(at, byte),
            2 => bytes.truncate(at),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
        }
    }
    bytes
}

#[test]
fn every_target_takes_its_corpus_and_what_is_like_it() {
    let asked = std::env::var("CORPUS_CHANGED").ok().and_then(|text| text.parse().ok());
    let copies: u64 = asked.unwrap_or(CHANGED);
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() >= LEAST, "{name} has {} files", corpus.len());
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for bytes in &corpus {
            target(bytes);
            (0..copies).for_each(|_| target(&changed(bytes, &mut numbers)));
        }
        println!("{name}: {} files, {copies} changed copies of each", corpus.len());
    }
}

#[test]
fn every_target_has_a_program_and_every_corpus_a_target() {
    let run = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("run");
    let manifest = fs::read_to_string(run.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in run/Cargo.toml");
        assert!(run.join(format!("src/{name}.rs")).exists(), "{name}");
    }
    for entry in fs::read_dir(folder("")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(TARGETS.iter().any(|(target, _)| name.to_str() == Some(target)), "{name:?} is no target");
    }
}
