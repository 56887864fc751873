//! A state becomes the beginning of a new Raft with one manager alone.
//! Knows: the order that a crash at any point survives. Must not know: where the state comes from.
//!
//! The new directory is built beside the place it is meant for, with the new epoch already in its state, and gets there
//! in one step: before that nothing has changed, after it this manager is the only one.

use crate::codec::encode;
use crate::config::ManagerConfig;
use crate::member_file::{self, MemberFileError};
use crate::propose::now_ms;
use std::net::IpAddr;
use std::path::PathBuf;
use swarm_identity::{NodeIdentity, RootCa, Subject, Validity, new_key_and_csr, random};
use swarm_model::{Availability, Cluster, Labels, ManagerInfo, MemberState, NodeId, Role};
use swarm_raft::{Member, RaftConfig, Seed, SeedError, Seeded, StartError};
use swarm_state::{AdmitNode, Command, Entry, ReplaceManagers, Reply, State};

/// The manager that goes on. Of one that is on record, labels and availability stay as they are there.
pub struct Successor {
    pub node: NodeId,
    pub hostname: String,
    pub data_path_addr: IpAddr,
    pub version: String,
    pub availability: Availability,
    pub labels: Labels,
}

/// What there was: the state after the entry `index`, in a Raft whose highest term was `term`.
pub struct Past {
    pub state: State,
    pub index: u64,
    pub term: u64,
}

/// Everything this manager goes on with, beside what is there and not yet in its place.
pub struct Recovered {
    /// A new certificate, for an old one may have run out while there was nobody to renew it. As good in the old
    /// cluster as in the new: it is to be kept before the rest is put into place.
    pub identity: NodeIdentity,
    pub cluster: Cluster,
    seeded: Seeded,
}

impl Recovered {
    /// From here on this manager is the only one. Its old files stay beside the new ones; answers where.
    pub async fn replace(self) -> Result<PathBuf, RecoverError> {
        let placed = tokio::task::spawn_blocking(move || self.seeded.replace()).await;
        Ok(placed.map_err(|e| RecoverError::State(e.to_string()))??)
    }

    /// As `replace`, where no manager was before.
    pub async fn install(self) -> Result<(), RecoverError> {
        let placed = tokio::task::spawn_blocking(move || self.seeded.install()).await;
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

pub fn raft_config(config: &ManagerConfig, id: u64) -> RaftConfig {
    RaftConfig::new(id, config.dir.clone(), config.key.clone())
}

/// Makes a Raft of this manager alone.
pub async fn succeed(
    config: &ManagerConfig,
    past: Past,
    successor: &Successor,
) -> Result<Recovered, RecoverError> {
    let new = raft_config(config, member_file::fresh_id());
    let manager = ManagerInfo { raft_id: new.id, addr: config.advertise, member: MemberState::Voter };
    let me = Member { node: successor.node.to_string(), addr: config.advertise };
    let (index, term) = (past.index + 1, past.term);
    let state = alone((past.state, index), (successor, config.features), manager)?;
    let cluster = state.cluster().cloned().ok_or(RecoverError::NoCluster)?;
    let identity = certificate(&cluster, successor.node)?;
    let bytes = encode("a snapshot", &state.snapshot()).map_err(|e| RecoverError::State(e.to_string()))?;
    let seeded = Seeded::prepare(&new, Seed { me, term, index, state: bytes }).await?;
    member_file::write_id(seeded.dir(), new.id)?;
    Ok(Recovered { identity, cluster, seeded })
}

/// The state with everybody else's place taken away.
fn alone(
    (mut state, index): (State, u64),
    (successor, features): (&Successor, u32),
    manager: ManagerInfo,
) -> Result<State, RecoverError> {
    let known = state.node(&successor.node).cloned();
    let survivor = AdmitNode {
        node: successor.node,
        hostname: successor.hostname.clone(),
        role: Role::Manager,
        availability: known.as_ref().map_or(successor.availability, |node| node.availability),
        labels: known.map_or_else(|| successor.labels.clone(), |node| node.labels),
        addr: manager.addr.ip(),
        data_path_addr: successor.data_path_addr,
        version: successor.version.clone(),
        features,
    };
    // Not 0, which stands for nothing drawn.
    let drawn = u32::from_be_bytes(random::bytes()).max(1);
    let command = Command::ReplaceManagers(Box::new(ReplaceManagers { survivor, manager, drawn }));
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
    // Not refused: this manager alone can still replace its root, and nothing else could.
    if let Err(reason) = ca.try_out(now_ms(), cluster.settings.cert_expiry_ms) {
        tracing::warn!(%reason, "the cluster's root CA will not do: replace it by `swarmctl ca --rotate` before nodes come");
    }
    let (key, csr) = new_key_and_csr().map_err(|e| failed(e.to_string()))?;
    let subject = Subject { node, role: Role::Manager, cluster: cluster.id };
    let validity = Validity::starting(now_ms(), cluster.settings.cert_expiry_ms);
    let chain = ca.sign(&csr, &subject, validity).map_err(|e| failed(e.to_string()))?;
    NodeIdentity::new(key, &chain, ca.cert_pem()).map_err(|e| failed(e.to_string()))
}
