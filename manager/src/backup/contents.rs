//! What is in a backup: the whole replicated state, the root CA's key with it, and when and by whom it was taken.
//! Knows: how that is spelled. Must not know: how it is sealed.

use super::header::{BackupError, damaged};
use crate::codec::{decode, encode};
use serde::{Deserialize, Serialize};
use swarm_model::FEATURE_LEVEL;
use swarm_proto::v1::BackupSummary;
use swarm_state::{FORMAT, Snapshot, State};
use zeroize::Zeroizing;

/// Read before the state: it says whether this version can read that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub state_format: u32,
    pub feature_level: u32,
    /// Of the swarmd that made it.
    pub version: String,
    pub at_ms: u64,
    /// The term of the managers then; who goes on from here begins above it.
    pub term: u64,
}

impl Made {
    /// What a person is told of a backup of this state; how long its file is, nobody knows here.
    pub fn summary(&self, state: &State) -> BackupSummary {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        BackupSummary {
            cluster: state.cluster().map(|cluster| cluster.id.to_string()).unwrap_or_default(),
            made_ms: self.at_ms,
            revision: state.revision(),
            nodes: count(state.nodes().len()),
            networks: count(state.networks().len()),
            endpoints: count(state.endpoints().len()),
            file_bytes: 0,
        }
    }
}

pub struct Contents {
    pub made: Made,
    pub state: State,
}

#[derive(Serialize)]
struct Written<'a> {
    made: &'a Made,
    state: &'a Snapshot,
}

#[derive(Deserialize)]
struct Announced {
    made: Made,
}

#[derive(Deserialize)]
struct Found {
    state: Snapshot,
}

impl Contents {
    pub fn encode(made: &Made, state: &Snapshot) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let bytes = encode("a backup", &Written { made, state });
        bytes.map(Zeroizing::new).map_err(|_| BackupError::Seal)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BackupError> {
        let unreadable = |e: crate::codec::CodecError| damaged(&e.to_string());
        let Announced { made } = decode("when it was made", bytes).map_err(unreadable)?;
        for (what, found, known) in [
            ("state format", made.state_format, FORMAT),
            ("feature level", made.feature_level, FEATURE_LEVEL),
        ] {
            if found > known {
                return Err(BackupError::Newer { what, found, known });
            }
        }
        let Found { state } = decode("its state", bytes).map_err(unreadable)?;
        let state = State::from_snapshot(state).map_err(|e| damaged(&e.problems.join("; ")))?;
        Ok(Self { made, state })
    }
}
