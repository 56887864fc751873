//! The replicated state as Raft drives it: bytes in, apply, bytes out.
//! Knows: how entries and snapshots are spelled. Must not know: what a command does, who proposed it.

use crate::applied::AppliedState;
use crate::codec::{CodecError, decode, encode};
use std::sync::Arc;
use swarm_raft::{Machine, MachineError};
use swarm_state::{Entry, Snapshot, State};

/// Raft's side of [`AppliedState`].
pub struct StateMachine(pub Arc<AppliedState>);

impl Machine for StateMachine {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, MachineError> {
        let entry: Entry = decode("a change", entry).map_err(|e| stop(index, &e))?;
        let reply = self.0.apply(index, &entry);
        encode("a reply", &reply).map_err(|e| stop(index, &e))
    }

    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let snapshot = self.0.read(State::snapshot);
        // Nothing from outside is in it that could not be spelled; half a snapshot must never reach the disk.
        Box::new(move || encode("a snapshot", &snapshot).expect("the state's own tables can be encoded"))
    }

    fn restore(&mut self, index: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let snapshot: Snapshot = decode("a snapshot", bytes).map_err(|e| stop(index, &e))?;
        let state = State::from_snapshot(snapshot).map_err(|e| stop_because(index, &e.to_string()))?;
        self.0.replace(state);
        Ok(())
    }
}

fn stop(index: u64, error: &CodecError) -> MachineError {
    stop_because(index, &error.to_string())
}

/// Unknown is not guessed: going on would give this manager another state than its peers'.
fn stop_because(index: u64, reason: &str) -> MachineError {
    MachineError(format!(
        "this manager cannot apply entry {index} and stops: {reason}; \
         a newer swarmd may have written it: upgrade this one"
    ))
}
