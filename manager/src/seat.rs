//! What all services of one manager stand on.
//! Knows: which parts there are. Must not know: what a service does with them.

use crate::addresses::Addresses;
use crate::api::Hearsay;
use crate::applied::AppliedState;
use crate::audit::Audit;
use crate::authorise::Authorized;
use crate::caller::Identity;
use crate::gate::Gate;
use crate::leader::Doubts;
use crate::linearize::Linearizer;
use crate::links::Links;
use crate::propose::{Done, Proposer};
use crate::recovery::Met;
use ipnet::IpNet;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::{Credentials, random};
use swarm_model::RequestId;
use swarm_raft::RaftNode;
use swarm_state::Command;
use tokio_util::task::TaskTracker;
use tonic::Status;

/// This host's own routes without the default ones; networks of the cluster must not hide them.
pub type HostRoutes = Arc<dyn Fn() -> Vec<IpNet> + Send + Sync>;

pub struct Seat {
    pub applied: Arc<AppliedState>,
    pub raft: RaftNode,
    pub links: Links,
    pub addresses: Addresses,
    /// Of other epochs of this cluster.
    pub met: Met,
    pub gate: Gate,
    pub audit: Audit,
    pub linearizer: Linearizer,
    pub proposer: Proposer,
    pub credentials: Credentials,
    pub host_routes: HostRoutes,
    /// What nodes say of each other.
    pub doubts: Doubts,
    /// What this host's own node says of the others.
    pub hearsay: Hearsay,
    /// For so long a leader may be silent before another is wanted.
    pub leader_silence: Duration,
    /// The feature level this manager announces and keeps to.
    pub features: u32,
    /// One change of the Raft members at a time.
    pub members: tokio::sync::Mutex<()>,
    /// One backup at a time.
    pub backups: Arc<tokio::sync::Semaphore>,
    /// Sessions and loops, waited for when the manager stops.
    pub tasks: TaskTracker,
}

impl Seat {
    pub fn new(
        applied: Arc<AppliedState>,
        raft: RaftNode,
        (links, addresses, met): (Links, Addresses, Met),
        (credentials, host_routes, features): (Credentials, HostRoutes, u32),
        (audit, leader_silence): (Audit, Duration),
    ) -> Self {
        let linearizer = Linearizer::new(raft.clone(), links.clone());
        Self {
            gate: Gate::new(applied.clone(), linearizer.clone()),
            proposer: Proposer::new(raft.clone(), links.clone(), applied.clone()),
            members: tokio::sync::Mutex::new(()),
            backups: Arc::new(tokio::sync::Semaphore::new(1)),
            tasks: TaskTracker::new(),
            doubts: Doubts::default(),
            hearsay: Hearsay::default(),
            audit,
            leader_silence,
            applied,
            raft,
            links,
            addresses,
            met,
            linearizer,
            credentials,
            host_routes,
            features,
        }
    }

    /// This manager as its certificate names it.
    pub fn me(&self) -> Identity {
        Identity::from(&self.credentials.peer())
    }

    /// Carries a call out also when whoever asked is gone by then: a node that leaves may have heard from another manager.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let ended = self.tasks.spawn(call).await;
        ended.unwrap_or_else(|e| Err(Status::internal(format!("the call ended early: {e}"))))
    }

    /// Proposes something this manager does of its own accord.
    pub async fn propose_own(&self, command: Command) -> Result<Done, crate::propose::ProposeFailed> {
        let permit = Authorized::of_this_manager(self.me(), command);
        self.proposer.propose(permit, random::new_id()).await
    }
}

/// The request id a caller chose, or a new one when it chose none.
pub fn request_id(given: &str) -> Result<RequestId, Status> {
    let id = swarm_proto::optional("request_id", given, "an id: 25 characters of 0-9a-z")?;
    Ok(id.unwrap_or_else(random::new_id))
}
