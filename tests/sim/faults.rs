//! What goes wrong: crashes, restarts, cut streams, jumping clocks, lost logs, damage by hand, hosts that move or go.

use crate::calls::About;
use crate::world::World;
use swarm_state::Command;

impl World {
    pub fn fault(&mut self) -> Result<(), String> {
        let (replica, worker) = (self.rng.below(self.replicas.len()), self.rng.below(self.workers.len()));
        match self.rng.below(20) {
            0..=1 => self.crash_replica(replica),
            2..=4 => self.start_replica(replica)?,
            5..=6 => self.compact(replica)?,
            7 => self.leader = replica,
            8 => self.jump(replica),
            9..=10 => {
                let cut = self.rng.below(self.streams.len().max(1));
                let cut = self.streams.get(cut).map(|stream| stream.session);
                self.close_streams(|stream| Some(stream.session) == cut);
            }
            11..=12 => self.crash_worker(worker),
            13..=14 => self.start_worker(worker),
            15..=16 => self.workers[worker].damage(&mut self.rng),
            17 => self.move_worker(worker),
            18 if self.rng.percent(25) => self.leave(worker),
            19 if self.rng.percent(25) => self.new_worker(),
            _ if self.rng.percent(70) => {}
            _ => self.call(About::Nobody, Command::PruneNetworks),
        }
        Ok(())
    }

    fn crash_replica(&mut self, at: usize) {
        self.tell(format_args!("replica {at} crashed"));
        self.replicas[at].crash();
        self.close_streams(|stream| stream.replica == at);
    }

    pub fn start_replica(&mut self, at: usize) -> Result<(), String> {
        if self.replicas[at].up {
            return Ok(());
        }
        self.replicas[at].start()?;
        self.tell(format_args!("replica {at} came back at {}", self.replicas[at].state.revision()));
        Ok(())
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

    pub fn start_worker(&mut self, at: usize) {
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
        if self.is_member(at) {
            let node = self.workers[at].node;
            self.call(About::Leave { worker: at }, Command::LeaveNode { node });
        }
    }
}
