//! The replicated tables: everything that a snapshot holds and that two replicas must have alike.
//! Knows shapes; what may be done to them is in `apply`, what is derived from them in `indices`.

use crate::clock::Clock;
use crate::pool::{Cursors, Leases};
use crate::requests::Requests;
use crate::rows;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};
use swarm_model::{
    Cluster, Endpoint, EndpointId, IssuedToken, Network, NetworkId, Node, NodeId, Revision, SessionId,
    TokenId, User, UserId,
};

/// Rows are behind `Arc`: a clone for a snapshot copies pointers, and a change after it copies one row.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// Raft index of the last entry applied.
    pub applied: Revision,
    pub clock: Clock,
    pub cluster: Option<Arc<Cluster>>,
    #[serde(with = "rows")]
    pub nodes: BTreeMap<NodeId, Arc<Node>>,
    /// The current session of each node that ever had one.
    pub sessions: BTreeMap<NodeId, Session>,
    #[serde(with = "rows")]
    pub networks: BTreeMap<NetworkId, Arc<Network>>,
    /// One for each network.
    pub leases: BTreeMap<NetworkId, Arc<Leases>>,
    #[serde(with = "rows")]
    pub endpoints: BTreeMap<EndpointId, Arc<Placed>>,
    pub cursors: Cursors,
    pub requests: Requests,
    /// Since level 3.
    #[serde(default, with = "rows")]
    pub tokens: BTreeMap<TokenId, Arc<IssuedToken>>,
    /// Since level 3.
    #[serde(default, with = "rows")]
    pub users: BTreeMap<UserId, Arc<User>>,
}

/// A worker's session as the cluster knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    /// The manager that holds it.
    pub manager: NodeId,
}

/// An endpoint, and the revision that created it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    pub endpoint: Arc<Endpoint>,
    pub revision: Revision,
}
