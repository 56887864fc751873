//! What a host does about its role: it becomes a manager step by step, steps down, and is cast out. Stands for the
//! daemon's part of it, said here a second time; must not know what the leader decides.

use crate::calls::About;
use crate::managers::manager_addr;
use crate::replica::Replica;
use crate::world::World;
use std::collections::BTreeSet;
use swarm_manager::decisions::members;
use swarm_model::{ManagerInfo, MemberState, NodeId, Role};
use swarm_raft::Member;
use swarm_state::Command;

impl World {
    /// What a host does about the role it was told. True when there was something to do.
    pub fn follow(&mut self, at: usize) -> Result<bool, String> {
        let worker = &self.workers[at];
        let leaves = |about: &About| matches!(about, About::Leave { worker } if *worker == at);
        if !worker.up || worker.left || self.calls.iter().any(|call| leaves(&call.about)) {
            return Ok(false);
        }
        let node = worker.node;
        if worker.admitted && self.decides() && self.log.truth.node(&node).is_none() {
            return self.cast_out(at).map(|()| true);
        }
        match (worker.held.role, self.replica_of(&node)) {
            (Some(Role::Manager), None) => {
                self.serve(node);
                Ok(true)
            }
            (Some(Role::Manager), Some(own)) if !self.has_joined(own) => Ok(self.join_step(own)),
            (Some(Role::Worker), Some(own)) => self.step_down(own),
            (_, Some(own)) if self.is_let_go(at) || self.hears_nothing(at, own) => self.step_down(own),
            (_, Some(_)) | (Some(Role::Worker) | None, None) => Ok(false),
        }
    }

    /// It has the cluster's state, and a vote as far as it knows: what became of that later, the others tell it.
    fn has_joined(&self, own: usize) -> bool {
        let Replica { state, voted, .. } = &self.replicas[own];
        state.cluster().is_some() && *voted
    }

    /// In no session, or in one with itself while Raft tells it nothing: only the others know what it is.
    fn hears_nothing(&self, at: usize, own: usize) -> bool {
        let hears = self.decides() && self.group.has(self.replicas[own].raft_id);
        let session = self.streams.iter().find(|stream| stream.worker == at);
        session.is_none_or(|stream| stream.replica == own && !hears)
    }

    /// Another manager, which holds the session, does not count this host among the managers.
    fn is_let_go(&self, at: usize) -> bool {
        let (node, held) = (self.workers[at].node, &self.workers[at].held);
        let session = self.streams.iter().find(|stream| stream.worker == at);
        session.is_some_and(|stream| self.replicas[stream.replica].node != node)
            && !held.managers.iter().any(|manager| manager.node == node)
    }

    fn serve(&mut self, node: NodeId) {
        let raft_id = self.fresh_raft_id();
        self.replicas.push(Replica::new(node, raft_id));
        self.count("manager begun");
        self.tell(format_args!("{} begins as raft {raft_id}", node.short()));
    }

    pub fn fresh_raft_id(&mut self) -> u64 {
        self.raft_ids += 1;
        self.raft_ids
    }

    /// What is still to do of `join_raft` at the leader: each step may be the last one it lives to see.
    pub fn join_step(&mut self, own: usize) -> bool {
        if !self.decides() || !self.replicas[own].is_reached() {
            return false;
        }
        let (id, node) = (self.replicas[own].raft_id, self.replicas[own].node);
        let (heard, member) = (self.with(id), Member { node: node.to_string(), addr: manager_addr(id) });
        let earlier = self.group.members().find(|(other, known)| known.node == member.node && **other != id);
        if let Some(earlier) = earlier.map(|(other, _)| *other) {
            return self.group.change(&heard, |group| group.remove(earlier));
        }
        if self.group.voters.contains_key(&id) {
            let manager = Some(ManagerInfo { raft_id: id, addr: member.addr, member: MemberState::Voter });
            let command = Command::SetManager { node, manager };
            let known = self.log.truth.node(&node).is_none_or(|node| node.votes());
            let due = !known && !self.is_asked(&command);
            if due {
                self.call(About::Nobody, command);
            }
            return due;
        }
        if !self.group.learners.contains_key(&id) {
            let done = self.is_admitted(&node)
                && self.group.change(&heard, |group| drop(group.learners.insert(id, member)));
            // Whatever it was before, the log tells it that it is a learner.
            self.replicas[own].voted &= !done;
            return done;
        }
        let caught_up = self.replicas[own].state.revision() == self.log.end();
        caught_up && self.promote(id, &heard)
    }

    fn promote(&mut self, id: u64, heard: &BTreeSet<u64>) -> bool {
        let done = self.group.change(heard, |group| {
            group.voters.extend(group.learners.remove_entry(&id));
        });
        if done {
            let promoted = self.replicas.iter_mut().filter(|replica| replica.raft_id == id);
            promoted.for_each(|replica| replica.voted = true);
            self.count("voter made");
            self.tell(format_args!("raft {id} votes"));
        }
        done
    }

    /// The leader's own records must call the joiner a manager.
    fn is_admitted(&self, node: &NodeId) -> bool {
        let state = self.leader_at().map(|at| &self.replicas[at].state);
        state.and_then(|state| state.node(node)).is_some_and(|node| node.role == Role::Manager)
    }

    /// Those who are heard, and one that is about to come in.
    fn with(&self, id: u64) -> BTreeSet<u64> {
        self.heard().into_iter().chain([id]).collect()
    }

    /// Down from being a manager, once another manager, which has looked at the newest records, does not count on it.
    fn step_down(&mut self, own: usize) -> Result<bool, String> {
        let node = self.replicas[own].node;
        let others = self.replicas.iter().any(|replica| replica.is_reached() && replica.node != node);
        if !others || !self.decides() || !self.replicas[own].is_reached() {
            return Ok(false);
        }
        let status = self.group.status(0, BTreeSet::new(), self.log.end());
        if members(&status, &self.log.truth).iter().any(|manager| manager.node == node) {
            return Ok(false);
        }
        self.erase(own).map(|()| true)
    }

    /// The node was removed: it is told so, and is nobody any more.
    fn cast_out(&mut self, at: usize) -> Result<(), String> {
        let node = self.workers[at].node;
        self.close_streams(|stream| stream.worker == at);
        self.workers[at].end();
        self.count("cast out");
        self.replica_of(&node).map_or(Ok(()), |own| self.erase(own))
    }

    /// Nothing of Raft is left on this host.
    pub fn erase(&mut self, own: usize) -> Result<(), String> {
        let (raft_id, node) = (self.replicas[own].raft_id, self.replicas[own].node);
        self.close_streams(|stream| stream.replica == own);
        self.replicas[own].erase();
        // Each of the others has kept the log from where its own snapshot ends.
        let kept = self.replicas.iter().filter(|replica| !replica.gone).map(Replica::saved).max();
        self.log.floor = self.log.floor.min(kept.unwrap_or_default());
        self.count("manager ended");
        self.tell(format_args!("raft {raft_id} on {} is erased", node.short()));
        match self.group.voters.contains_key(&raft_id) {
            true => Err(format!("raft {raft_id} erased what it knew, and Raft counts on it")),
            false => Ok(()),
        }
    }
}
