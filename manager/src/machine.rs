//! The replicated state as Raft drives it: bytes in, apply, bytes out.
//! Knows: how entries and snapshots are spelled. Must not know: what a command does, who proposed it.

use crate::applied::AppliedState;
use crate::codec::{CodecError, decode, encode};
use std::sync::Arc;
use swarm_raft::{Machine, MachineError};
use swarm_state::{Entry, Reply, Snapshot, State};

/// Raft's side of [`AppliedState`].
pub struct StateMachine {
    pub applied: Arc<AppliedState>,
    /// The feature level this manager keeps to: what is above it counts as unknown.
    pub features: u32,
}

impl Machine for StateMachine {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, MachineError> {
        let reply = self.decide(index, entry)?;
        encode("a reply", &reply).map_err(|e| stop(index, &e))
    }

    fn replay(&mut self, index: u64, entry: &[u8]) -> Result<(), MachineError> {
        self.decide(index, entry).map(drop)
    }

    #[expect(clippy::expect_used, reason = "half a snapshot must never reach the disk")]
    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let snapshot = self.applied.read(State::snapshot);
        // Nothing from outside is in it that could not be spelled.
        Box::new(move || encode("a snapshot", &snapshot).expect("the state's own tables can be encoded"))
    }

    fn restore(&mut self, index: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let snapshot: Snapshot = decode("a snapshot", bytes).map_err(|e| stop(index, &e))?;
        let state = State::from_snapshot(snapshot).map_err(|e| stop_because(index, &e.to_string()))?;
        self.applied.replace(state);
        self.keeps_up(index)
    }
}

impl StateMachine {
    fn decide(&self, index: u64, entry: &[u8]) -> Result<Reply, MachineError> {
        let entry: Entry = decode("a change", entry).map_err(|e| stop(index, &e))?;
        self.understands(index, entry.command.since())?;
        let reply = self.applied.apply(index, &entry);
        self.keeps_up(index)?;
        Ok(reply)
    }

    /// What comes after the cluster has risen to a level may be in words that only those of that level know.
    fn keeps_up(&self, index: u64) -> Result<(), MachineError> {
        let level = self.applied.read(|state| state.cluster().map_or(1, |cluster| cluster.feature_level));
        self.understands(index, level)
    }

    fn understands(&self, index: u64, level: u32) -> Result<(), MachineError> {
        let features = self.features;
        if level <= features {
            return Ok(());
        }
        Err(stop_because(index, &format!("it is of feature level {level}, this swarmd knows {features}")))
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
    use swarm_model::FEATURE_LEVEL;
    use swarm_state::Command;

    fn machine() -> StateMachine {
        StateMachine { applied: Arc::default(), features: FEATURE_LEVEL }
    }

    fn entry(command: &str) -> Vec<u8> {
        let entry = Entry { request: None, now_ms: 1, command: Command::NoOp };
        let mut text = serde_json::to_value(&entry).unwrap();
        text["command"] = command.into();
        rmp_serde::to_vec_named(&text).unwrap()
    }

    #[test]
    fn what_is_not_understood_stops_this_manager_with_a_sentence() {
        let mut machine = machine();
        for bytes in [b"garbage".to_vec(), Vec::new(), entry("DropEverything")] {
            let error = machine.apply(1, &bytes).unwrap_err().to_string();
            assert!(error.contains("cannot apply entry 1") && error.contains("upgrade"), "{error}");
        }
        assert_eq!(machine.applied.read(State::revision), 0);
    }

    #[test]
    fn a_field_from_a_newer_release_is_passed_over() {
        let mut value =
            serde_json::to_value(Entry { request: None, now_ms: 1, command: Command::NoOp }).unwrap();
        value["invented_later"] = 7.into();
        let mut machine = machine();
        machine.apply(1, &rmp_serde::to_vec_named(&value).unwrap()).unwrap();
        assert_eq!(machine.applied.read(State::revision), 1);
    }

    #[test]
    fn a_snapshot_is_the_state_and_garbage_is_none() {
        let mut machine = machine();
        machine.apply(5, &entry("NoOp")).unwrap();
        let bytes = machine.snapshot()();
        let mut other = self::machine();
        assert!(other.restore(5, &bytes[..bytes.len() / 2]).is_err());
        other.restore(5, &bytes).unwrap();
        assert!(other.applied.read(State::clone) == machine.applied.read(State::clone));
    }

    /// As a release of the level before would, which cannot even read them.
    #[test]
    fn f36_what_is_above_its_level_stops_this_manager() {
        let mut old = StateMachine { features: 1, ..machine() };
        let raise = Command::SetFeatureLevel { level: 2, settled: None };
        let bytes = encode("a change", &Entry { request: None, now_ms: 1, command: raise }).unwrap();
        let error = old.apply(1, &bytes).unwrap_err().to_string();
        assert!(error.contains("feature level 2") && error.contains("upgrade"), "{error}");
        assert_eq!(old.applied.read(State::revision), 0);

        let state = crate::leader::testing::of_level(2, &[(1, 2)]);
        let bytes = encode("a snapshot", &state.snapshot()).unwrap();
        let error = old.restore(9, &bytes).unwrap_err().to_string();
        assert!(error.contains("feature level 2"), "{error}");
        machine().restore(9, &bytes).unwrap();
    }
}
