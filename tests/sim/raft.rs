//! The managers' group as Raft keeps it: who votes, who only follows, who leads. Stands for openraft's membership; the log
//! itself is `log`. Knows majorities; must not know roles and records.

use std::collections::{BTreeMap, BTreeSet};
use swarm_raft::{Member, Role, Status};

#[derive(Default, Clone, PartialEq, Eq)]
pub struct Group {
    pub term: u64,
    pub leader: Option<u64>,
    pub voters: BTreeMap<u64, Member>,
    pub learners: BTreeMap<u64, Member>,
}

impl Group {
    /// Whether those who are heard decide for all.
    pub fn decides(&self, heard: &BTreeSet<u64>) -> bool {
        self.voters.keys().filter(|id| heard.contains(id)).count() > self.voters.len() / 2
    }

    pub fn lead(&mut self, id: u64) {
        self.term += 1;
        self.leader = Some(id);
    }

    /// A change of members needs the majority of the voters as they are and as they will be; else nothing happens.
    pub fn change(&mut self, heard: &BTreeSet<u64>, change: impl FnOnce(&mut Self)) -> bool {
        let mut next = self.clone();
        change(&mut next);
        let may = self.decides(heard) && next.decides(heard);
        if may {
            *self = next;
        }
        may
    }

    pub fn remove(&mut self, id: u64) {
        self.voters.remove(&id);
        self.learners.remove(&id);
    }

    pub fn members(&self) -> impl Iterator<Item = (&u64, &Member)> {
        self.voters.iter().chain(&self.learners)
    }

    pub fn has(&self, id: u64) -> bool {
        self.voters.contains_key(&id) || self.learners.contains_key(&id)
    }

    /// As the leader sees it, which has applied so much.
    pub fn status(&self, id: u64, heard: BTreeSet<u64>, applied: u64) -> Status {
        Status {
            id,
            term: self.term,
            leader: self.voters.get(&id).map(|member| (id, member.clone())),
            role: Role::Leader,
            applied,
            last_index: applied,
            last_term: self.term,
            voters: self.voters.clone(),
            learners: self.learners.clone(),
            heard,
            stopped: None,
        }
    }
}
