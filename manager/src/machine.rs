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

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_state::Command;

    fn entry(command: &str) -> Vec<u8> {
        let entry = Entry { request: None, now_ms: 1, command: Command::NoOp };
        let mut text = serde_json::to_value(&entry).unwrap();
        text["command"] = command.into();
        rmp_serde::to_vec_named(&text).unwrap()
    }

    #[test]
    fn what_is_not_understood_stops_this_manager_with_a_sentence() {
        let mut machine = StateMachine(Arc::default());
        for bytes in [b"garbage".to_vec(), Vec::new(), entry("DropEverything")] {
            let error = machine.apply(1, &bytes).unwrap_err().to_string();
            assert!(error.contains("cannot apply entry 1") && error.contains("upgrade"), "{error}");
        }
        assert_eq!(machine.0.read(State::revision), 0);
    }

    #[test]
    fn a_field_from_a_newer_release_is_passed_over() {
        let mut value =
            serde_json::to_value(Entry { request: None, now_ms: 1, command: Command::NoOp }).unwrap();
        value["invented_later"] = 7.into();
        let mut machine = StateMachine(Arc::default());
        machine.apply(1, &rmp_serde::to_vec_named(&value).unwrap()).unwrap();
        assert_eq!(machine.0.read(State::revision), 1);
    }

    #[test]
    fn a_snapshot_is_the_state_and_garbage_is_none() {
        let mut machine = StateMachine(Arc::default());
        machine.apply(5, &entry("NoOp")).unwrap();
        let bytes = machine.snapshot()();
        let mut other = StateMachine(Arc::default());
        assert!(other.restore(5, &bytes[..bytes.len() / 2]).is_err());
        other.restore(5, &bytes).unwrap();
        assert!(other.0.read(State::clone) == machine.0.read(State::clone));
    }
}
