//! The abstract ordered log: what is appended is committed, and is the same for all. Stands for Raft.
//! Knows the truth: the state that the whole log leads to, and the reply to each entry.

use crate::ledger::Ledger;
use swarm_model::Revision;
use swarm_state::{Entry, Reply, State, apply};

#[derive(Default)]
pub struct Log {
    entries: Vec<Entry>,
    replies: Vec<Reply>,
    /// Entries up to here are gone; who is behind needs a snapshot.
    pub floor: Revision,
    /// What whoever reads it must know: the highest level of any command in it, and the one the cluster has risen to.
    pub level: u32,
    pub truth: State,
    pub ledger: Ledger,
}

impl Log {
    pub fn append(&mut self, entry: Entry) -> Result<Reply, String> {
        let index = self.end() + 1;
        let applied = apply(&mut self.truth, index, &entry);
        let checked = self.ledger.enter(&entry, &applied, &self.truth);
        checked.map_err(|problem| format!("entry {index} {:?}: {problem}", entry.command))?;
        // Rebuilding every index at every step would be all the simulation does.
        if index.is_multiple_of(16) {
            self.check_invariants()?;
        }
        let risen = self.truth.cluster().map_or(1, |cluster| cluster.feature_level);
        self.level = self.level.max(entry.command.level()).max(risen);
        self.entries.push(entry);
        self.replies.push(applied.reply.clone());
        Ok(applied.reply)
    }

    pub fn end(&self) -> Revision {
        self.entries.len() as Revision
    }

    pub fn check_invariants(&self) -> Result<(), String> {
        self.truth.check_invariants().map_err(|problems| format!("invariants: {problems:?}"))
    }

    /// The entry at `index` and its reply, unless it is gone or not there yet.
    pub fn get(&self, index: Revision) -> Option<(&Entry, &Reply)> {
        let at = usize::try_from(index.checked_sub(1)?).ok()?;
        if index <= self.floor { None } else { Some((self.entries.get(at)?, self.replies.get(at)?)) }
    }
}
