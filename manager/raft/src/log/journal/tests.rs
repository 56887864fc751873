//! The journal against a plain model, through restarts and power cuts that keep any sectors of what was not synced.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::{Journal, NAMES, Sizes};
use crate::log::{Engine, EngineError};

const SIZES: Sizes = Sizes { segment: 3_000, move_bytes: 200 };
const SECTOR: usize = 512;

thread_local! {
    /// What each file held when it was last synced, by its number.
    static SYNCED: RefCell<BTreeMap<u64, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes that a file has been synced.
pub fn synced(file: &File) {
    use std::os::unix::fs::FileExt;
    let meta = file.metadata().unwrap();
    let mut bytes = vec![0; meta.len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    SYNCED.with_borrow_mut(|all| all.insert(meta.ino(), bytes));
}

type Records = (BTreeMap<u64, Vec<u8>>, BTreeMap<String, Vec<u8>>);

/// What stands behind: what it holds, and what of it a power cut leaves.
#[derive(Default)]
struct Slow {
    now: Mutex<Records>,
    kept: Mutex<Records>,
    /// The record that was written or removed last; the power may go in the middle of that.
    touched: Mutex<Option<u64>>,
    /// Records that are there by halves.
    torn: Mutex<BTreeSet<u64>>,
    /// How many records it touches before the power goes.
    left: Mutex<Option<usize>>,
}

impl Slow {
    fn touch(&self, index: u64) -> Result<(), EngineError> {
        if let Some(left) = &mut *self.left.lock() {
            let none = || EngineError::Io { action: "a power cut", source: io::ErrorKind::Other.into() };
            *left = left.checked_sub(1).ok_or_else(none)?;
        }
        *self.touched.lock() = Some(index);
        self.torn.lock().remove(&index);
        Ok(())
    }

    fn remove(&self, doomed: impl Fn(&u64) -> bool) -> Result<(), EngineError> {
        self.torn.lock().retain(|index| !doomed(index));
        let doomed: Vec<u64> = self.now.lock().0.keys().copied().filter(doomed).collect();
        for index in doomed {
            self.touch(index)?;
            self.now.lock().0.remove(&index);
        }
        Ok(())
    }

    /// All that was done may be there, the last of it by halves; or nothing since the last flush.
    fn cut(&self, everything: bool) {
        *self.left.lock() = None;
        let (mut now, kept) = (self.now.lock(), self.kept.lock());
        if !everything {
            *now = kept.clone();
            return;
        }
        if let Some(index) = self.touched.lock().take()
            && now.0.get(&index) != kept.0.get(&index)
        {
            now.0.remove(&index);
            self.torn.lock().insert(index);
        }
    }
}

impl Engine for Arc<Slow> {
    fn put(&self, index: u64, value: &[u8]) -> Result<(), EngineError> {
        self.touch(index)?;
        self.now.lock().0.insert(index, value.to_vec());
        Ok(())
    }
    fn read(&self, first: u64, last: u64, max_bytes: usize) -> Result<Vec<(u64, Vec<u8>)>, EngineError> {
        if let Some(index) = self.torn.lock().range(first..=last).next() {
            return Err(EngineError::Damaged(format!("entry {index} is there by halves")));
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (index, value) in self.now.lock().0.range(first..=last) {
            if bytes > max_bytes {
                break;
            }
            bytes += value.len();
            found.push((*index, value.clone()));
        }
        Ok(found)
    }
    fn remove_from(&self, first: u64) -> Result<(), EngineError> {
        self.remove(|index| *index >= first)
    }
    fn remove_through(&self, last: u64) -> Result<(), EngineError> {
        self.remove(|index| *index <= last)
    }
    fn put_named(&self, name: &str, value: &[u8]) -> Result<(), EngineError> {
        self.now.lock().1.insert(name.to_owned(), value.to_vec());
        Ok(())
    }
    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.now.lock().1.get(name).cloned())
    }
    fn flush(&self) -> Result<(), EngineError> {
        *self.kept.lock() = self.now.lock().clone();
        *self.touched.lock() = None;
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// An entry again, as when it is sealed anew.
    Again(u8),
    Name(u8, usize),
    Truncate(u8),
    Purge(u8),
    Flush,
    Reopen,
    /// With the sectors that are kept, one bit each.
    PowerCut(u64, bool),
    /// While the journal moves on: after so many records; with the sectors that are kept.
    CutInMove(usize, u64, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0usize..300).prop_map(Step::Append),
        1 => any::<u8>().prop_map(Step::Again),
        2 => (0u8..3, 0usize..60).prop_map(|(name, size)| Step::Name(name, size)),
        1 => (0u8..6).prop_map(Step::Truncate),
        1 => (0u8..8).prop_map(Step::Purge),
        5 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => (any::<u64>(), any::<bool>()).prop_map(|(kept, behind)| Step::PowerCut(kept, behind)),
        1 => (0usize..12, any::<u64>(), any::<bool>())
            .prop_map(|(records, kept, behind)| Step::CutInMove(records, kept, behind)),
    ]
}

struct Rig {
    dir: tempfile::TempDir,
    behind: Arc<Slow>,
    journal: Journal<Arc<Slow>>,
    now: Records,
    /// What may be found after a crash: all since the last flush.
    possible: Vec<Records>,
    writes: u64,
    /// Where the log begins.
    first: u64,
}

impl Rig {
    fn new() -> Self {
        SYNCED.with_borrow_mut(BTreeMap::clear);
        let (dir, behind) = (tempfile::tempdir().unwrap(), Arc::new(Slow::default()));
        let journal = Journal::open(behind.clone(), dir.path(), SIZES).unwrap();
        Self {
            dir,
            behind,
            journal,
            now: Records::default(),
            possible: vec![Records::default()],
            writes: 0,
            first: 0,
        }
    }

    fn value(&mut self, size: usize) -> Vec<u8> {
        self.writes += 1;
        self.writes.to_be_bytes().into_iter().cycle().take(size + 8).collect()
    }

    fn next(&self) -> u64 {
        self.now.0.last_key_value().map_or(self.first, |(index, _)| index + 1)
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Append(size) => {
                let (index, value) = (self.next(), self.value(*size));
                self.journal.put(index, &value).unwrap();
                self.now.0.insert(index, value);
            }
            Step::Again(which) => {
                let Some(index) =
                    self.now.0.keys().nth(usize::from(*which) % self.now.0.len().max(1)).copied()
                else {
                    return;
                };
                let value = self.value(50);
                self.journal.put(index, &value).unwrap();
                self.now.0.insert(index, value);
            }
            Step::Name(name, size) => {
                let value = self.value(*size);
                self.journal.put_named(&name.to_string(), &value).unwrap();
                self.now.1.insert(name.to_string(), value);
            }
            Step::Truncate(back) => {
                let from = self.next().saturating_sub(u64::from(*back)).max(self.first);
                self.journal.remove_from(from).unwrap();
                self.now.0.split_off(&from);
            }
            Step::Purge(forward) => {
                let Some(first) = self.now.0.keys().next().copied() else { return };
                let through = first + u64::from(*forward);
                if through + 1 >= self.next() {
                    return;
                }
                self.journal.remove_through(through).unwrap();
                self.now.0.retain(|index, _| *index > through);
                self.first = through + 1;
            }
            Step::Flush => {
                self.journal.flush().unwrap();
                self.possible.clear();
            }
            Step::Reopen => {
                self.journal.flush().unwrap();
                self.possible.clear();
                self.open();
            }
            Step::PowerCut(kept, behind) => self.cut_power(*kept, *behind),
            Step::CutInMove(records, kept, behind) => {
                *self.behind.left.lock() = Some(*records);
                self.write_until_it_fails();
                self.cut_power(*kept, *behind);
            }
        }
        self.possible.push(self.now.clone());
        assert_eq!(self.found(), self.now, "after {step:?}");
    }

    fn open(&mut self) {
        self.journal = Journal::open(self.behind.clone(), self.dir.path(), SIZES).unwrap();
    }

    fn found(&self) -> Records {
        let entries = self.journal.read(0, u64::MAX, usize::MAX).unwrap();
        let name =
            |name: u8| self.journal.named(&name.to_string()).unwrap().map(|value| (name.to_string(), value));
        (entries.into_iter().collect(), (0..3).filter_map(name).collect())
    }

    /// Until the engine behind takes no more, or has not been asked to for long.
    fn write_until_it_fails(&mut self) {
        for _ in 0..40 {
            let (index, value) = (self.next(), self.value(150));
            if self.journal.put(index, &value).is_err() {
                return;
            }
            self.now.0.insert(index, value);
            self.possible.push(self.now.clone());
            if self.journal.flush().is_err() {
                return;
            }
            self.possible = vec![self.now.clone()];
        }
    }

    /// Of what was written since the last sync any sectors may be there; the engine behind keeps what it synced, or all.
    fn cut_power(&mut self, kept: u64, behind: bool) {
        for name in NAMES {
            cut_file(&self.dir.path().join(name), kept);
        }
        self.behind.cut(behind);
        self.open();
        let found = self.found();
        assert!(self.possible.contains(&found), "{found:?} is none of {:?}", self.possible);
        self.now = found;
        self.possible.clear();
    }
}

fn cut_file(path: &Path, kept: u64) {
    let ino = fs::metadata(path).unwrap().ino();
    let mut old = SYNCED.with_borrow(|all| all.get(&ino).cloned()).unwrap_or_default();
    let mut bytes = fs::read(path).unwrap();
    old.resize(bytes.len(), 0);
    for (at, (now, old)) in bytes.chunks_mut(SECTOR).zip(old.chunks(SECTOR)).enumerate() {
        if kept >> (at % 64) & 1 == 0 {
            now.copy_from_slice(old);
        }
    }
    fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn what_was_flushed_survives_and_nothing_else_appears(steps in prop::collection::vec(step(), 1..150)) {
        let mut rig = Rig::new();
        steps.iter().for_each(|step| rig.run(step));
    }
}

#[test]
fn entries_that_are_purged_in_time_never_reach_the_engine_behind() {
    let mut rig = Rig::new();
    for round in 0..500 {
        rig.run(&Step::Append(100));
        rig.run(&Step::Flush);
        if round % 4 == 0 && round > 8 {
            rig.run(&Step::Purge(3));
        }
    }
    assert_eq!(*rig.behind.now.lock(), Records::default());
    assert!(fs::metadata(rig.dir.path().join(NAMES[0])).unwrap().len() <= 8 * 1024);
}

#[test]
fn a_long_log_moves_on_and_is_read_as_one() {
    let mut rig = Rig::new();
    for _ in 0..200 {
        rig.run(&Step::Append(100));
        rig.run(&Step::Flush);
    }
    assert!(rig.behind.now.lock().0.len() > 100);
    let part = rig.journal.read(10, 190, 1_000).unwrap();
    assert_eq!(part.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (10..20).collect::<Vec<_>>());
    rig.run(&Step::Reopen);
    // It all goes in the end, also there.
    rig.run(&Step::Purge(195));
    for _ in 0..60 {
        rig.run(&Step::Append(100));
        rig.run(&Step::Flush);
    }
    assert!(rig.behind.now.lock().0.keys().all(|index| *index > 195));
}

#[test]
fn a_record_too_long_for_the_journal_is_refused() {
    let rig = Rig::new();
    assert!(rig.journal.put(0, &[1; 3_000]).is_err());
    assert!(rig.journal.put(0, &[1; 2_000]).is_ok());
}

#[test]
fn a_damaged_frame_ends_the_log_there() {
    let mut rig = Rig::new();
    rig.run(&Step::Append(100));
    rig.run(&Step::Flush);
    let path = rig.dir.path().join(NAMES[0]);
    let whole = fs::read(&path).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut bytes = whole;
    bytes[end - 3] ^= 4;
    fs::write(&path, bytes).unwrap();
    rig.open();
    assert_eq!(rig.found(), Records::default());
}
