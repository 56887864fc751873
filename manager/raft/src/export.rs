//! What a manager that does not run knows: its newest snapshot and every entry of its log after it.
//!
//! Knows: how the two make a state. Must not know: what becomes of it.

use std::collections::BTreeMap;

use openraft::EntryPayload;

use crate::api::{Machine, Member};
use crate::config::RaftConfig;
use crate::error::StartError;
use crate::log::{StoppedLog, on_disk};
use crate::snapshots::Snapshots;
use crate::types::{LogId, StoredMembership};

/// The state of a stopped manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The last entry of its log, and its term: of two survivors the one with the greater (`last_term`, `index`) knows
    /// more.
    pub index: u64,
    pub last_term: u64,
    /// The highest term it has seen; a new group begins above it.
    pub term: u64,
    /// Up to here it knew the entries to be committed. Whether those after it were, nobody can say without the others.
    pub committed: u64,
    /// The members as its log has them.
    pub voters: BTreeMap<u64, Member>,
    pub learners: BTreeMap<u64, Member>,
    /// The machine's state after `index`, as [`Machine::snapshot`] encodes it.
    pub state: Vec<u8>,
}

/// Reads the directory of a manager that does not run, and changes nothing in it but what a start would mend. All its
/// entries count as committed: it may be the last that has them.
pub async fn export<M: Machine>(config: RaftConfig, machine: M) -> Result<Export, StartError> {
    let dir = config.dir.display().to_string();
    on_disk(move || read(&config, machine)).await.map_err(|reason| StartError::Store { dir, reason })
}

/// The machine, and what it has been brought to.
struct Replay<M> {
    machine: M,
    last: Option<LogId>,
    members: StoredMembership,
}

fn read<M: Machine>(config: &RaftConfig, machine: M) -> Result<Export, String> {
    if !config.log_dir().is_dir() {
        return Err("no manager's files are there; check the state directory".to_owned());
    }
    let log = StoppedLog::open(config).map_err(|e| e.to_string())?;
    let mut replay = Replay { machine, last: None, members: StoredMembership::default() };
    replay.restore(config)?;
    loop {
        let entries = log.after(replay.last).map_err(|e| e.to_string())?;
        if entries.is_empty() {
            break;
        }
        entries.into_iter().try_for_each(|entry| replay.apply(entry))?;
    }
    let Some(last) = replay.last else {
        return Err("this manager has never belonged to a cluster; there is nothing to go on from".to_owned());
    };
    let last_term = last.committed_leader_id().term;
    let vote_term = log.found.vote.map_or(0, |vote| vote.leader_id.term);
    let noted = log.found.committed.or(log.found.purged).map_or(0, |id| id.index);
    let voters: Vec<u64> = replay.members.voter_ids().collect();
    let members = replay.members.nodes().map(|(id, member)| (*id, member.clone()));
    let (voters, learners) = members.partition(|(id, _)| voters.contains(id));
    Ok(Export {
        index: last.index,
        last_term,
        term: vote_term.max(last_term),
        committed: noted,
        voters,
        learners,
        state: replay.machine.snapshot()(),
    })
}

impl<M: Machine> Replay<M> {
    fn restore(&mut self, config: &RaftConfig) -> Result<(), String> {
        let snapshots = Snapshots::open(config.snapshots_dir(), &config.key, config.cadence.clone());
        let newest = snapshots.and_then(|snapshots| snapshots.newest()).map_err(|e| e.to_string())?;
        let Some(newest) = newest else { return Ok(()) };
        let index = newest.meta.last_log_id.map_or(0, |id| id.index);
        self.machine
            .restore(index, &newest.snapshot)
            .map_err(|e| format!("the snapshot at entry {index} cannot be restored: {e}"))?;
        (self.last, self.members) = (newest.meta.last_log_id, newest.meta.last_membership);
        Ok(())
    }

    fn apply(&mut self, entry: crate::types::Entry) -> Result<(), String> {
        let index = entry.log_id.index;
        match entry.payload {
            EntryPayload::Normal(command) => {
                self.machine
                    .replay(index, &command.0)
                    .map_err(|e| format!("entry {index} of the log cannot be applied: {e}"))?;
            }
            EntryPayload::Membership(members) => {
                self.members = StoredMembership::new(Some(entry.log_id), members);
            }
            EntryPayload::Blank => {}
        }
        self.last = Some(entry.log_id);
        Ok(())
    }
}
