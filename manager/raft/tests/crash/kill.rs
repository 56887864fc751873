//! kill -9 at any moment, also while the log is being opened; and files a kill leaves behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::model::{Model, look, mark};
use crate::rig::{Victim, rounds, seed};

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let mut random = seed("kill -9");
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("log");
    let mut model = Model::default();
    let (mut promises, rounds) = (0, rounds(40));
    for round in 0..rounds {
        let mut victim = Victim::start("child::log_child", &dir, random.next());
        // A third dies before or while it opens the log.
        let time = if random.below(3) == 0 { random.below(30) } else { random.below(250) };
        victim.run_for(Duration::from_millis(time));
        model.learn(&victim.kill());
        if random.below(4) == 0 {
            // Killed again and again without a look in between.
            continue;
        }
        let found = look(&dir).unwrap_or_else(|e| panic!("round {round}, killed after {time} ms: {e}"));
        model.check(&found).unwrap_or_else(|e| panic!("round {round}, killed after {time} ms: {e}"));
        promises = promises.max(model.promises());
    }
    println!("{rounds} kills, up to {promises} acknowledged entries each, none lost");
    assert!(promises > 0, "no child lived long enough to promise anything");
    assert_eq!(count(&dir.join("blobs")), 0, "values went to blobs, which sled never syncs");
}

#[test]
fn stale_and_missing_snapshots_of_sled_do_not_matter() {
    let mut random = seed("sled's snapshots");
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("log");
    let mut model = Model::default();
    let mut live = |model: &mut Model| {
        let mut victim = Victim::start("child::log_child", &dir, random.next());
        victim.wait_for("acked");
        victim.run_for(Duration::from_millis(50));
        model.learn(&victim.kill());
    };
    live(&mut model);
    fs::write(dir.join("snap.FFFF.generating"), b"half a snapshot").unwrap();
    fs::write(dir.join("snap.00000000000000FF.generating"), b"").unwrap();
    model.check(&look(&dir).unwrap()).unwrap();
    assert_eq!(generating(&dir), 0);

    live(&mut model);
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("snap.") {
            fs::remove_file(path).unwrap();
        }
    }
    model.check(&look(&dir).unwrap()).unwrap();
    assert!(model.promises() > 0);
}

/// sled takes some damage for the end of the log and panics on other; neither may pass for a sound log.
#[test]
fn a_flipped_bit_is_seen_or_does_no_harm() {
    let mut random = seed("flipped bit");
    let home = tempfile::tempdir().unwrap();
    let (dir, copy) = (home.path().join("log"), home.path().join("copy"));
    let mut model = Model::default();
    let mut victim = Victim::start("child::log_child", &dir, random.next());
    victim.wait_for("acked");
    victim.run_for(Duration::from_millis(200));
    model.learn(&victim.kill());
    let (mut seen, mut harmless) = (0, 0);
    for round in 0..rounds(30) {
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir_all(&copy).unwrap();
        fs::copy(mark(&dir), mark(&copy)).unwrap();
        // With and without sled's own snapshots.
        for entry in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap()) {
            let name = entry.file_name();
            if name != "blobs" && (round % 2 == 0 || !name.to_str().unwrap().starts_with("snap.")) {
                fs::copy(entry.path(), copy.join(name)).unwrap();
            }
        }
        let files = ["db", "journal-0", "journal-1"].map(|name| copy.join(name));
        let files: Vec<_> = files.iter().filter(|file| fs::metadata(file).unwrap().len() > 0).collect();
        let file = files[random.below(files.len() as u64) as usize];
        let mut bytes = fs::read(file).unwrap();
        // What is written lies in front; beyond it there are zeros.
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default() + 1;
        let at = random.below(end as u64) as usize;
        bytes[at] ^= 1 << random.below(8);
        fs::write(file, bytes).unwrap();
        match std::panic::catch_unwind(|| look(&copy)) {
            Ok(Ok(found)) => {
                model.check(&found).unwrap_or_else(|e| {
                    panic!("round {round}, byte {at} of {}, opened: {e}", file.display())
                });
                harmless += 1;
            }
            Ok(Err(_)) | Err(_) => seen += 1,
        }
    }
    println!("{seen} flipped bits seen, {harmless} harmless");
}

fn generating(dir: &Path) -> usize {
    fs::read_dir(dir)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "generating"))
        .count()
}

pub fn count(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}
