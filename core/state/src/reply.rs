//! What an apply answers. Knows shapes only.

use crate::{Event, Refusal};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use swarm_model::{DnsName, Endpoint, IssuedToken, Network, NetworkId, Node, Revision, User};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// For the caller of the command. Also what a retry of its request gets.
    pub reply: Reply,
    /// For the dispatcher. Empty when nothing changed.
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    Done,
    Node(Arc<Node>),
    Network(Arc<Network>),
    Removed {
        network: NetworkId,
        name: DnsName,
    },
    /// The names of the networks removed, sorted.
    Pruned(Vec<DnsName>),
    Endpoints {
        /// In the order asked for.
        endpoints: Vec<Arc<Endpoint>>,
        /// The node's assignment holds them all from this revision on.
        revision: Revision,
    },
    Released {
        /// The node's assignment is without them from this revision on; 0 when there was nothing to release.
        revision: Revision,
    },
    /// Nothing was changed.
    Refused(Refusal),
    Token(Arc<IssuedToken>),
    User(Arc<User>),
}
