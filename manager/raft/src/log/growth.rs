//! What the log costs on disk after long use.

use super::{Engine, SledEngine};

const LIVE: u64 = 2_000;
const RECORD: [u8; 300] = [6; 300];

/// sled's file is some times as large as what it holds; it must not grow for ever, and not lose track of its segments.
#[test]
fn the_file_stays_bounded_while_entries_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let engine = SledEngine::open(dir.path()).unwrap();
    let size = || std::fs::metadata(dir.path().join("db")).unwrap().len();
    let mut halfway = 0;
    for index in 0..40_000u64 {
        engine.put(index, &RECORD).unwrap();
        if index % 100 == 0 {
            engine.flush().unwrap();
        }
        if index % LIVE == 0 && index > LIVE {
            engine.remove_through(index - LIVE).unwrap();
        }
        if index == 20_000 {
            halfway = size();
        }
    }
    println!("{} KiB on disk for {} KiB live", size() / 1024, LIVE * RECORD.len() as u64 / 1024);
    assert!(size() < 16 << 20, "{} bytes", size());
    assert!(size() <= halfway + (4 << 20), "{halfway} bytes halfway, {} at the end", size());
}
