//! What goes wrong: crashes, restarts, cut streams, jumping clocks, lost logs, damage by hand, hosts that move or go.

use crate::calls::About;
use crate::world::World;
use swarm_model::{FEATURE_LEVEL, NodeId};
use swarm_state::Command;

impl World {
    pub fn fault(&mut self) -> Result<(), String> {
        let (replica, worker) = (self.rng.below(self.replicas.len()), self.rng.below(self.workers.len()));
        match self.rng.below(26) {
            0..=1 => self.crash_host(&self.replicas[replica].node.clone()),
            2..=4 => self.start_host(&self.replicas[replica].node.clone())?,
            5..=6 => self.compact(replica)?,
            7 => self.lead_elsewhere(replica),
            8 => self.jump(replica),
            9..=10 => {
                let cut = self.rng.below(self.streams.len().max(1));
                let cut = self.streams.get(cut).map(|stream| stream.session);
                self.close_streams(|stream| Some(stream.session) == cut);
            }
            11..=12 => self.crash_host(&self.workers[worker].node.clone()),
            13..=14 => self.start_host(&self.workers[worker].node.clone())?,
            15..=16 => self.workers[worker].damage(&mut self.rng),
            17 => self.move_worker(worker),
            18 if self.rng.percent(25) => self.leave(worker),
            19 if self.rng.percent(25) => self.new_worker(),
            20..=21 => self.replicas[replica].cut ^= true,
            22 if self.features < FEATURE_LEVEL => self.upgrade_managers()?,
            22..=24 => self.upgrade(worker)?,
            25 if self.rng.percent(20) => self.lose_managers()?,
            _ if self.rng.percent(70) => {}
            _ => {
                self.call(About::Nobody, Command::PruneNetworks);
            }
        }
        Ok(())
    }

    /// Daemon, manager and all.
    pub fn crash_host(&mut self, node: &NodeId) {
        if let Some(at) = self.replica_of(node).filter(|at| self.replicas[*at].up) {
            let id = self.replicas[at].raft_id;
            self.tell(format_args!("raft {id} crashed"));
            self.replicas[at].crash();
            self.watched.lost(at);
            self.close_streams(|stream| stream.replica == at);
        }
        if let Some(at) = self.workers.iter().position(|worker| worker.node == *node) {
            self.crash_worker(at);
        }
    }

    pub fn start_host(&mut self, node: &NodeId) -> Result<(), String> {
        if let Some(at) = self.workers.iter().position(|worker| worker.node == *node) {
            self.start_worker(at);
        }
        let Some(at) = self.replica_of(node).filter(|at| !self.replicas[*at].up) else { return Ok(()) };
        if self.replicas[at].past {
            return self.meet_later_epoch(at);
        }
        self.replicas[at].start()?;
        let (id, revision) = (self.replicas[at].raft_id, self.replicas[at].state.revision());
        self.tell(format_args!("raft {id} came back at {revision}"));
        Ok(())
    }

    fn lead_elsewhere(&mut self, at: usize) {
        let replica = &self.replicas[at];
        if self.group.voters.contains_key(&replica.raft_id) && replica.is_reached() && self.decides() {
            self.group.lead(replica.raft_id);
        }
    }

    /// An operator takes one manager after the other, and the rest later.
    fn upgrade_managers(&mut self) -> Result<(), String> {
        let votes = |at: &usize| {
            let own = self.replica_of(&self.workers[*at].node);
            own.is_some_and(|own| self.replicas[own].voted)
        };
        let managers: Vec<usize> = (0..self.workers.len()).filter(votes).collect();
        managers.into_iter().try_for_each(|at| self.upgrade(at))
    }

    /// A host comes back with a newer daemon.
    fn upgrade(&mut self, at: usize) -> Result<(), String> {
        let node = self.workers[at].node;
        self.crash_host(&node);
        self.workers[at].features = FEATURE_LEVEL;
        self.start_host(&node)
    }

    /// Takes a snapshot; now and then the log before it goes.
    fn compact(&mut self, at: usize) -> Result<(), String> {
        if self.replicas[at].up {
            let saved = self.replicas[at].save()?;
            if self.rng.percent(50) {
                self.log.floor = self.log.floor.max(saved);
            }
        }
        Ok(())
    }

    fn jump(&mut self, at: usize) {
        const TWO_HOURS_MS: i64 = 7_200_000;
        let wild = if self.rng.percent(20) { 44_000 } else { 1 };
        self.replicas[at].skew_ms = (self.rng.draw() as i64 % TWO_HOURS_MS) * wild;
    }

    fn crash_worker(&mut self, at: usize) {
        if !self.workers[at].left {
            self.tell(format_args!("worker {at} crashed"));
            self.workers[at].up = false;
            self.close_streams(|stream| stream.worker == at);
            // Who waited for an answer is gone with it; what was asked for may still come to pass.
            let waiting = |about: &About| matches!(about, About::Attach { worker, .. } if *worker == at);
            let gone: Vec<_> = self.calls.extract_if(.., |call| waiting(&call.about)).collect();
            self.late.extend(gone.into_iter().map(|call| (call.request, call.command)));
        }
    }

    fn start_worker(&mut self, at: usize) {
        if !self.workers[at].up {
            self.tell(format_args!("worker {at} came back"));
            self.workers[at].start();
        }
    }

    /// The host gets another data-path address and registers it.
    fn move_worker(&mut self, at: usize) {
        if self.is_member(at) {
            self.workers[at].data_path_addr = self.fresh_addr();
            self.close_streams(|stream| stream.worker == at);
        }
    }

    fn leave(&mut self, at: usize) {
        let node = self.workers[at].node;
        // A manager leaves in another way: out of Raft first.
        if self.is_member(at) && self.replica_of(&node).is_none() {
            self.call(About::Leave { worker: at }, Command::LeaveNode { node });
        }
    }
}
