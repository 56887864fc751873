//! What a stopped manager knows becomes the beginning of a new Raft with this manager alone.
//! Knows: the order that a crash at any point survives. Must not know: what made it necessary.
//!
//! The new directory is built beside the old one, with the new epoch already in its state, and takes its place in one
//! step: before that the old cluster is untouched, after it this manager is the only one.

use crate::applied::AppliedState;
use crate::codec::{decode, encode};
use crate::config::ManagerConfig;
use crate::machine::StateMachine;
use crate::member_file::{self, MemberFileError};
use crate::propose::now_ms;
use std::path::PathBuf;
use std::sync::Arc;
use swarm_identity::{NodeIdentity, RootCa, Subject, Validity, new_key_and_csr};
use swarm_model::{Cluster, FEATURE_LEVEL, ManagerInfo, MemberState, NodeId, Role};
use swarm_raft::{Export, Member, RaftConfig, Seed, SeedError, Seeded, StartError, export};
use swarm_state::{AdmitNode, Command, Entry, ReplaceManagers, Reply, Snapshot, State};

/// The manager that is left. Labels and availability stay as they are on record.
pub struct Survivor {
    pub node: NodeId,
    pub hostname: String,
    pub data_path_addr: std::net::IpAddr,
    pub version: String,
}

/// Everything this manager goes on with, beside what is there and not yet in its place.
pub struct Recovered {
    /// A new certificate, for the old one may have run out while there was nobody to renew it. As good in the old
    /// cluster as in the new: it is to be kept before the rest is put into place.
    pub identity: NodeIdentity,
    pub cluster: Cluster,
    seeded: Seeded,
}

impl Recovered {
    /// From here on this manager is the only one. Its old files stay beside the new ones; answers where.
    pub async fn install(self) -> Result<PathBuf, RecoverError> {
        let placed = tokio::task::spawn_blocking(move || self.seeded.replace()).await;
        Ok(placed.map_err(|e| RecoverError::State(e.to_string()))??)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Read(#[from] StartError),
    #[error(transparent)]
    Write(#[from] SeedError),
    #[error(transparent)]
    Member(#[from] MemberFileError),
    #[error("this manager never received the cluster's state: there is nothing to go on with")]
    NoCluster,
    #[error("the cluster's state refuses to go on with this manager: {0}")]
    Refused(String),
    #[error("the state of this manager cannot be used: {0}")]
    State(String),
    #[error("no certificate could be made for this manager: {0}")]
    Certificate(String),
}

/// Makes a Raft of this manager alone from the one that is there, on which nothing may be running.
pub async fn recover(config: &ManagerConfig, survivor: Survivor) -> Result<Recovered, RecoverError> {
    let raft = |id: u64| RaftConfig {
        snapshot_interval: config.snapshot_interval,
        keep_snapshots: config.keep_snapshots,
        ..RaftConfig::new(id, config.dir.clone(), config.key.clone())
    };
    let old = raft(member_file::load_or_make(&config.dir)?);
    let Export { index, term, state, .. } =
        export(old, StateMachine(Arc::new(AppliedState::default()))).await?;
    let new = raft(member_file::fresh_id());
    let manager = ManagerInfo { raft_id: new.id, addr: config.advertise, member: MemberState::Voter };
    let me = Member { node: survivor.node.to_string(), addr: config.advertise };
    let state = alone(&state, index + 1, &survivor, manager)?;
    let cluster = state.cluster().cloned().ok_or(RecoverError::NoCluster)?;
    let identity = certificate(&cluster, survivor.node)?;
    let bytes = encode("a snapshot", &state.snapshot()).map_err(|e| RecoverError::State(e.to_string()))?;
    let seed = Seed { me, term, index: index + 1, state: bytes };
    let seeded = Seeded::prepare(&new, seed).await?;
    member_file::write_id(seeded.dir(), new.id)?;
    Ok(Recovered { identity, cluster, seeded })
}

/// The state with everybody else's place taken away.
fn alone(bytes: &[u8], index: u64, survivor: &Survivor, manager: ManagerInfo) -> Result<State, RecoverError> {
    let snapshot: Snapshot = decode("a snapshot", bytes).map_err(|e| RecoverError::State(e.to_string()))?;
    let mut state = State::from_snapshot(snapshot).map_err(|e| RecoverError::State(e.to_string()))?;
    let known = state.node(&survivor.node).cloned();
    let addr = manager.addr.ip();
    let survivor = AdmitNode {
        node: survivor.node,
        hostname: survivor.hostname.clone(),
        role: Role::Manager,
        availability: known.as_ref().map_or(swarm_model::Availability::Active, |node| node.availability),
        labels: known.map(|node| node.labels).unwrap_or_default(),
        addr,
        data_path_addr: survivor.data_path_addr,
        version: survivor.version.clone(),
        features: FEATURE_LEVEL,
    };
    let command = Command::ReplaceManagers(Box::new(ReplaceManagers { survivor, manager }));
    let entry = Entry { request: None, now_ms: now_ms(), command };
    match swarm_state::apply(&mut state, index, &entry).reply {
        Reply::Node(_) => Ok(state),
        Reply::Refused(refusal) => Err(RecoverError::Refused(refusal.to_string())),
        other => Err(RecoverError::Refused(format!("unexpected answer {other:?}"))),
    }
}

fn certificate(cluster: &Cluster, node: NodeId) -> Result<NodeIdentity, RecoverError> {
    let failed = |e: String| RecoverError::Certificate(e);
    let ca =
        RootCa::from_pem(&cluster.root_ca_cert, &cluster.root_ca_key).map_err(|e| failed(e.to_string()))?;
    let (key, csr) = new_key_and_csr().map_err(|e| failed(e.to_string()))?;
    let subject = Subject { node, role: Role::Manager, cluster: cluster.id };
    let validity = Validity::starting(now_ms(), cluster.settings.cert_expiry_ms);
    let chain = ca.sign(&csr, &subject, validity).map_err(|e| failed(e.to_string()))?;
    NodeIdentity::new(key, &chain, ca.cert_pem()).map_err(|e| failed(e.to_string()))
}
