//! Managers as they come and go: elections, the leader's rounds, a role taken and given up, a cluster that goes on with
//! one. What the leader decides is the product's own code; what a host does about its role is said here a second time.

use crate::calls::About;
use crate::replica::Replica;
use crate::world::World;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use swarm_manager::decisions::{Departure, corrections, members, next_departure, rise};
use swarm_model::{FEATURE_LEVEL, ManagerInfo, MemberState, NodeId, Role};
use swarm_raft::Member;
use swarm_state::{AdmitNode, Command, ReplaceManagers};

impl World {
    /// The replica on this host; one that was erased is none.
    pub fn replica_of(&self, node: &NodeId) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.node == *node && !replica.gone)
    }

    fn with_id(&self, raft_id: u64) -> Option<usize> {
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

    fn is_asked(&self, command: &Command) -> bool {
        self.calls.iter().any(|call| call.command == *command)
    }

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
            (Some(Role::Manager), Some(own)) if self.replicas[own].state.cluster().is_none() => {
                Ok(self.join_step(own))
            }
            (Some(Role::Worker), Some(own)) => self.step_down(own),
            (_, Some(own)) if self.is_let_go(at) || self.hears_nothing(at, own) => self.step_down(own),
            (_, Some(_)) | (Some(Role::Worker) | None, None) => Ok(false),
        }
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
            return self.is_admitted(&node)
                && self.group.change(&heard, |group| drop(group.learners.insert(id, member)));
        }
        let caught_up = self.replicas[own].state.revision() == self.log.end();
        caught_up && self.promote(id, &heard)
    }

    fn promote(&mut self, id: u64, heard: &BTreeSet<u64>) -> bool {
        let done = self.group.change(heard, |group| {
            group.voters.extend(group.learners.remove_entry(&id));
        });
        if done {
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
    fn erase(&mut self, own: usize) -> Result<(), String> {
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

    /// A manager of the past comes back: it finds the later epoch when it meets anybody.
    pub fn meet_later_epoch(&mut self, own: usize) -> Result<(), String> {
        if self.decides() { self.erase(own) } else { Ok(()) }
    }

    /// All managers but one are lost, and the cluster goes on with that one.
    pub fn lose_managers(&mut self) -> Result<(), String> {
        let able: Vec<usize> = self
            .heard()
            .into_iter()
            .filter_map(|id| self.with_id(id))
            .filter(|at| self.knows_all(*at))
            .collect();
        let Some(survivor) = self.rng.pick(&able).copied() else { return Ok(()) };
        let node = self.replicas[survivor].node;
        let lost: Vec<usize> =
            (0..self.replicas.len()).filter(|at| *at != survivor && !self.replicas[*at].gone).collect();
        for at in lost {
            self.crash_host(&self.replicas[at].node.clone());
            self.replicas[at].past = true;
        }
        let raft_id = self.fresh_raft_id();
        self.replicas[survivor].raft_id = raft_id;
        self.group.voters =
            [(raft_id, Member { node: node.to_string(), addr: manager_addr(raft_id) })].into();
        self.group.learners.clear();
        self.group.lead(raft_id);
        let manager = ManagerInfo { raft_id, addr: manager_addr(raft_id), member: MemberState::Voter };
        let Some(record) = self.log.truth.node(&node) else { return Ok(()) };
        let survivor = AdmitNode {
            node,
            hostname: record.hostname.clone(),
            role: Role::Manager,
            availability: record.availability,
            labels: record.labels.clone(),
            addr: record.addr,
            data_path_addr: record.data_path_addr,
            version: record.version.clone(),
            features: record.features,
        };
        let replace = ReplaceManagers { survivor, manager };
        let request = self.fresh_request();
        self.propose(request, Command::ReplaceManagers(Box::new(replace))).map(drop)
    }

    fn knows_all(&self, at: usize) -> bool {
        self.replicas[at].state.revision() == self.log.end()
            && self.group.voters.contains_key(&self.replicas[at].raft_id)
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
