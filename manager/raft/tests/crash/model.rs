//! What a child has promised, and whether a log that was opened again keeps it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openraft::storage::RaftLogStorage;
use openraft::{EntryPayload, RaftLogReader};
use swarm_raft::StoreKey;
use swarm_raft::log::{DiskEngine, LogStore};
use swarm_raft::types::{Command, Entry};

use crate::rig::{Random, wait};

pub const KEY: [u8; 32] = [5; 32];
pub const ID: u64 = 77;

/// The only command an entry may hold: it follows from the entry's place and term.
pub fn command(term: u64, index: u64) -> Command {
    let mut random = Random(term.wrapping_mul(1_000_003) ^ index);
    let size = match random.below(100) {
        0..70 => random.below(500),
        70..96 => random.below(8_000),
        _ => random.below(200_000),
    };
    let bytes: Vec<u8> = (0..size / 8 + 1).flat_map(|_| random.next().to_be_bytes()).collect();
    Command(bytes.into())
}

/// Promises so far.
#[derive(Debug, Default, Clone)]
pub struct Model {
    /// Term of each entry whose append was acknowledged.
    acked: BTreeMap<u64, u64>,
    vote: u64,
    /// End (exclusive) of the longest purge that was begun.
    purge_begun: u64,
}

/// A log as it was found.
pub struct Found {
    pub entries: Vec<Entry>,
    pub vote: u64,
    /// End (exclusive) of what was purged.
    pub purged: u64,
}

impl Model {
    pub fn learn(&mut self, lines: &[String]) {
        for line in lines {
            let mut words = line.split(' ');
            let kind = words.next().unwrap_or_default();
            let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
            match (kind, &numbers[..]) {
                ("acked", [first, last, term]) => {
                    self.acked.extend((*first..=*last).map(|index| (index, *term)))
                }
                ("vote", [term]) => self.vote = *term,
                // From here on the tail may be there or not.
                ("truncating", [from]) => drop(self.acked.split_off(from)),
                ("purging", [end]) => self.purge_begun = (*end).max(self.purge_begun),
                _ => {}
            }
        }
    }

    pub fn promises(&self) -> usize {
        self.acked.len()
    }

    /// The term of the last vote promised.
    pub fn vote(&self) -> u64 {
        self.vote
    }

    pub fn check(&self, found: &Found) -> Result<(), String> {
        if found.vote < self.vote {
            return Err(format!("vote {} was acknowledged, {} found", self.vote, found.vote));
        }
        if found.purged > self.purge_begun {
            return Err(format!("purged up to {}, asked only up to {}", found.purged, self.purge_begun));
        }
        for (entry, expected) in found.entries.iter().zip(found.purged..) {
            let (term, index) = (entry.log_id.committed_leader_id().term, entry.log_id.index);
            if index != expected {
                return Err(format!("a hole: {index} follows where {expected} should"));
            }
            match &entry.payload {
                EntryPayload::Normal(found) if *found == command(term, index) => {}
                _ => return Err(format!("entry {index} of term {term} holds other bytes than were written")),
            }
        }
        let end = found.purged + found.entries.len() as u64;
        for (index, term) in self.acked.range(found.purged..) {
            let there = found.entries.get((index - found.purged) as usize);
            let there = there.map(|entry| entry.log_id.committed_leader_id().term);
            if there != Some(*term) {
                return Err(format!(
                    "entry {index} of term {term} was acknowledged; {there:?} found, log ends at {end}"
                ));
            }
        }
        Ok(())
    }
}

/// Where the mark of the log in `dir` lies.
pub fn mark(dir: &Path) -> PathBuf {
    dir.with_extension("mark")
}

/// Opens the log in `dir` the way a manager does, reads all of it, and closes it again.
pub fn look(dir: &Path) -> Result<Found, String> {
    let engine = DiskEngine::on_sled(dir).map_err(|e| format!("it does not open: {e}"))?;
    let mut log = LogStore::open(Box::new(engine), &mark(dir), &StoreKey::new(KEY), ID)
        .map_err(|e| format!("it is not sound: {e}"))?;
    let watch = log.watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(async {
        let state = log.get_log_state().await.map_err(|e| e.to_string())?;
        let mut reader = log.get_log_reader().await;
        let vote = reader.read_vote().await.map_err(|e| e.to_string())?.map_or(0, |vote| vote.leader_id.term);
        let entries = reader.try_get_log_entries(..).await.map_err(|e| e.to_string())?;
        let purged = state.last_purged_log_id.map_or(0, |id| id.index + 1);
        Ok::<_, String>(Found { entries, vote, purged })
    });
    drop(log);
    drop(runtime);
    assert!(wait(Duration::from_secs(10), || watch.is_closed()), "the log was not closed");
    found
}
