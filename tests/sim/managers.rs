//! Managers as a group: who reaches whom, elections, the leader's rounds, and what must hold of them. What the leader
//! decides is the product's own code; must not know what a host does about its role.

use crate::calls::About;
use crate::world::World;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use swarm_manager::decisions::{Departure, corrections, next_departure, rise};
use swarm_model::{FEATURE_LEVEL, NodeId, Role};
use swarm_state::Command;

impl World {
    /// The replica on this host; one that was erased is none.
    pub fn replica_of(&self, node: &NodeId) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.node == *node && !replica.gone)
    }

    pub fn with_id(&self, raft_id: u64) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.raft_id == raft_id && !replica.gone)
    }

    /// Members that reach each other.
    pub fn heard(&self) -> BTreeSet<u64> {
        let reached =
            self.replicas.iter().filter(|replica| replica.is_reached() && self.group.has(replica.raft_id));
        reached.map(|replica| replica.raft_id).collect()
    }

    pub fn leader_at(&self) -> Option<usize> {
        self.group.leader.and_then(|id| self.with_id(id))
    }

    /// Whether anything can be written.
    pub fn decides(&self) -> bool {
        let leads = self.leader_at().is_some_and(|at| self.replicas[at].is_reached());
        leads && self.group.decides(&self.heard())
    }

    /// Somebody leads, if the voters that reach each other are enough.
    pub fn elect(&mut self) {
        let heard = self.heard();
        if !self.decides() && self.group.decides(&heard) {
            let able: Vec<u64> = heard.into_iter().filter(|id| self.group.voters.contains_key(id)).collect();
            if let Some(id) = self.rng.pick(&able).copied() {
                self.group.lead(id);
                let term = self.group.term;
                self.tell(format_args!("raft {id} leads term {term}"));
            }
        }
    }

    /// What the leader looks after now and then. True when there was something to do.
    pub fn look_after(&mut self) -> Result<bool, String> {
        let Some(at) = self.leader_at().filter(|_| self.decides()) else { return Ok(false) };
        let heard = self.heard();
        let (id, state) = (self.replicas[at].raft_id, &self.replicas[at].state);
        let status = self.group.status(id, heard.clone(), state.revision());
        let wrong = corrections(&status, state.nodes());
        let level = rise(state, &[], FEATURE_LEVEL);
        match next_departure(&status, state) {
            Some(Departure::HandOver { to }) => {
                self.group.lead(to);
                self.count("leadership handed over");
                return Ok(true);
            }
            Some(Departure::Remove { raft_id }) => return self.let_go(raft_id, &heard),
            Some(Departure::Blocked { .. }) | None => {}
        }
        let records = wrong.into_iter().map(|(node, manager)| Command::SetManager { node, manager });
        let commands = records
            .chain(level.map(|(level, settled)| Command::SetFeatureLevel { level, settled: Some(settled) }));
        let due: Vec<Command> = commands.filter(|command| !self.is_asked(command)).collect();
        let any = !due.is_empty();
        for command in due {
            self.call(About::Nobody, command);
        }
        Ok(any)
    }

    fn let_go(&mut self, raft_id: u64, heard: &BTreeSet<u64>) -> Result<bool, String> {
        let done = self.group.change(heard, |group| group.remove(raft_id));
        if done {
            self.count("member let go");
            self.tell(format_args!("raft {raft_id} is no member any more"));
        }
        match self.decides() {
            true => Ok(done),
            false => Err(format!("without raft {raft_id} those who are left do not decide")),
        }
    }

    pub fn is_asked(&self, command: &Command) -> bool {
        self.calls.iter().any(|call| call.command == *command)
    }

    /// What must hold of managers after every step.
    pub fn check_managers(&self) -> Result<(), String> {
        for (id, member) in &self.group.voters {
            if self.with_id(*id).is_none() {
                return Err(format!("raft {id} votes, and there is no such manager"));
            }
            let worker = self.workers.iter().find(|worker| worker.node.to_string() == member.node);
            let features = worker.map_or(0, |worker| worker.features);
            if features < self.log.level {
                return Err(format!("raft {id} votes and cannot read commands of level {}", self.log.level));
            }
        }
        Ok(())
    }

    /// What must hold when everybody has settled: roles, records and Raft say the same.
    pub fn check_roles(&self) -> Result<(), String> {
        for node in
            self.log.truth.nodes().filter(|node| node.status.state != swarm_model::NodeState::Disconnected)
        {
            let votes = self.group.voters.values().any(|member| member.node == node.id.to_string());
            let serves = self.replica_of(&node.id).is_some();
            if (votes, node.votes(), serves) != (node.role == Role::Manager, votes, votes) {
                let (role, record) = (node.role, node.votes());
                return Err(format!(
                    "{}: role {role}, on record {record}, votes {votes}, serves {serves}",
                    node.id
                ));
            }
        }
        match self.group.learners.is_empty() {
            true => Ok(()),
            false => Err("a learner is left in Raft".to_owned()),
        }
    }
}

pub fn manager_addr(raft_id: u64) -> SocketAddr {
    ([10, 200, 1, raft_id as u8], 2377).into()
}
