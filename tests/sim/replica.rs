//! One manager's copy of the state: applies the log at its own pace, crashes, comes back from its disk, is handed a
//! snapshot when it is too far behind.

use crate::log::Log;
use swarm_model::{NodeId, Revision};
use swarm_state::{Event, Snapshot, State, apply};

pub struct Replica {
    /// Its node; sessions it holds are on record under it.
    pub node: NodeId,
    /// Its number in Raft; never used a second time.
    pub raft_id: u64,
    pub up: bool,
    /// The other managers do not reach it, nor it them.
    pub cut: bool,
    /// The cluster went on without it while it was down.
    pub past: bool,
    /// Nothing of it is left: the host is no manager any more, or another one.
    pub gone: bool,
    /// It had a vote once.
    pub voted: bool,
    pub state: State,
    /// The last snapshot on its disk, as bytes.
    disk: Option<(Revision, Vec<u8>)>,
    /// What its wall clock is off by.
    pub skew_ms: i64,
}

/// What one step forward was.
pub enum Step {
    Nothing,
    /// An entry, with what it changed.
    Applied(Vec<Event>),
    /// The entry it needs is gone from the log.
    NeedsSnapshot,
}

impl Replica {
    pub fn new(node: NodeId, raft_id: u64) -> Self {
        let (cut, past, gone, voted) = (false, false, false, false);
        Self {
            node,
            raft_id,
            up: true,
            cut,
            past,
            gone,
            voted,
            state: State::default(),
            disk: None,
            skew_ms: 0,
        }
    }

    pub fn voter(node: NodeId, raft_id: u64) -> Self {
        Self { voted: true, ..Self::new(node, raft_id) }
    }

    /// By the other managers that are reached.
    pub fn is_reached(&self) -> bool {
        self.up && !self.cut
    }

    /// How far its snapshot goes.
    pub fn saved(&self) -> Revision {
        self.disk.as_ref().map_or(0, |(revision, _)| *revision)
    }

    pub fn erase(&mut self) {
        self.crash();
        (self.gone, self.disk) = (true, None);
    }

    pub fn step(&mut self, log: &Log) -> Result<Step, String> {
        let index = self.state.revision() + 1;
        if index > log.end() {
            return Ok(Step::Nothing);
        }
        let Some((entry, truth)) = log.get(index) else { return Ok(Step::NeedsSnapshot) };
        let applied = apply(&mut self.state, index, entry);
        if applied.reply != *truth {
            return Err(format!("entry {index} was answered {truth:?} once and {:?} here", applied.reply));
        }
        if index == log.end() && self.state != log.truth {
            return Err(format!("two replicas differ at {index}"));
        }
        Ok(Step::Applied(applied.events))
    }

    /// Writes a snapshot and says how far it goes.
    pub fn save(&mut self) -> Result<Revision, String> {
        let bytes = serde_json::to_vec(&self.state.snapshot()).map_err(|e| e.to_string())?;
        self.disk = Some((self.state.revision(), bytes));
        Ok(self.state.revision())
    }

    pub fn crash(&mut self) {
        self.up = false;
        self.state = State::default();
    }

    pub fn start(&mut self) -> Result<(), String> {
        self.up = true;
        self.state = match &self.disk {
            Some((_, bytes)) => read(bytes)?,
            None => State::default(),
        };
        Ok(())
    }

    /// Takes another's state in place of its own.
    pub fn install(&mut self, from: &State) -> Result<(), String> {
        let bytes = serde_json::to_vec(&from.snapshot()).map_err(|e| e.to_string())?;
        self.state = read(&bytes)?;
        if self.state != *from {
            return Err("a snapshot came out differently".to_owned());
        }
        self.disk = Some((self.state.revision(), bytes));
        Ok(())
    }
}

fn read(bytes: &[u8]) -> Result<State, String> {
    let snapshot: Snapshot = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    State::from_snapshot(snapshot).map_err(|e| e.to_string())
}
