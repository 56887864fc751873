//! What a stopped manager knows becomes the past of a cluster that goes on with it alone.
//! Knows: where that is read. Must not know: what made it necessary.

use super::succession::{Past, RecoverError, Recovered, Successor, raft_config, succeed};
use crate::codec::decode;
use crate::config::ManagerConfig;
use crate::machine::StateMachine;
use crate::member_file;
use std::sync::Arc;
use swarm_raft::{Export, export};
use swarm_state::{Snapshot, State};

/// Makes a Raft of this manager alone from the one that is there, on which nothing may be running.
pub async fn recover(config: &ManagerConfig, survivor: &Successor) -> Result<Recovered, RecoverError> {
    let old = raft_config(config, member_file::load_or_make(&config.dir)?);
    let Export { index, term, state, .. } =
        export(old, StateMachine { applied: Arc::default(), features: config.features }).await?;
    let snapshot: Snapshot = decode("a snapshot", &state).map_err(|e| RecoverError::State(e.to_string()))?;
    let state = State::from_snapshot(snapshot).map_err(|e| RecoverError::State(e.to_string()))?;
    succeed(config, Past { state, index, term }, survivor).await
}
