//! What one node has been assigned, and the chain of messages that keeps it current.
//!
//! A session begins with the whole (`Complete`) and goes on with changes that name the revision they apply to and
//! the one they result in. A revision is the Raft index the assignment was derived at, so it means the same on
//! every manager.

use crate::{Endpoint, EndpointId, GossipKey, Lineage, Network, NetworkId, NodeId, Pair, Role};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use serde::{Deserialize, Serialize};

/// A Raft log index.
pub type Revision = u64;

/// Everything one node needs: its networks, every endpoint on them, and the nodes those endpoints are on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    pub revision: Revision,
    pub defaults: DriverDefaults,
    /// The role wanted for the node itself. `None`: the manager is too old to say.
    #[serde(default)]
    pub role: Option<Role>,
    pub managers: Vec<ManagerPeer>,
    /// Those the node has endpoints on, and the predefined ones: these are for showing, and need nothing in the
    /// kernel unless the node has an endpoint on one.
    pub networks: BTreeMap<NetworkId, Network>,
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
    pub peers: BTreeMap<NodeId, Peer>,
    /// Everybody who gossips, the node itself too. Empty from a manager too old to say.
    #[serde(default)]
    pub members: BTreeMap<NodeId, Member>,
    /// Those that the node shares an encrypted network with. Never on a disk of a worker.
    #[serde(default)]
    pub pairs: BTreeMap<NodeId, Pair>,
}

/// Cluster settings that reach the kernel or the session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverDefaults {
    pub data_path_port: u16,
    pub heartbeat_ms: u64,
    /// The cluster's epoch: a manager that names one from before it belongs to a past of the cluster.
    #[serde(default)]
    pub lineage: Lineage,
    /// PEM: the roots that count, the one that issues last. Empty from a manager too old to say.
    #[serde(default)]
    pub roots: String,
    /// What gossip is sealed with, newest first. Empty from a manager too old to say.
    #[serde(default)]
    pub gossip_keys: Vec<GossipKey>,
}

/// Where a manager is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerPeer {
    pub node: NodeId,
    pub addr: SocketAddr,
}

/// A node as the data plane sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub node: NodeId,
    pub hostname: String,
    /// Its VTEP.
    pub data_path_addr: IpAddr,
}

/// UDP and TCP.
pub const GOSSIP_PORT: u16 = 7946;

/// Nodes that one node may name to its manager as silent. Of more the first count: the others have their usual time.
pub const MOST_DOUBTS: usize = 64;

/// A node as the others gossip with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub node: NodeId,
    pub addr: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    PutNetwork(Network),
    /// Takes the endpoints on it along.
    DropNetwork(NetworkId),
    PutEndpoint(Endpoint),
    DropEndpoint(EndpointId),
    PutPeer(Peer),
    DropPeer(NodeId),
    Managers(Vec<ManagerPeer>),
    Defaults(DriverDefaults),
    Role(Role),
    /// Since feature level 4, as the next: a node of an earlier one could not read it.
    PutMember(Member),
    DropMember(NodeId),
    PutPair(Pair),
    DropPair(NodeId),
}

impl Change {
    /// The feature level of the first `swarmd` that can read this.
    pub fn since(&self) -> u32 {
        match self {
            Self::PutMember(_) | Self::DropMember(_) | Self::PutPair(_) | Self::DropPair(_) => 4,
            Self::PutNetwork(_)
            | Self::DropNetwork(_)
            | Self::PutEndpoint(_)
            | Self::DropEndpoint(_)
            | Self::PutPeer(_)
            | Self::DropPeer(_)
            | Self::Managers(_)
            | Self::Defaults(_)
            | Self::Role(_) => 1,
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "a message on its way: never many of them")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assignment {
    Complete(Assigned),
    Incremental { applies_to: Revision, results_in: Revision, changes: Vec<Change> },
}

/// A message that does not fit onto what is held: the session must start again from the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainError {
    pub held: Revision,
    pub applies_to: Revision,
    pub results_in: Revision,
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "assignment {} → {} does not follow revision {}",
            self.applies_to, self.results_in, self.held
        )
    }
}

impl core::error::Error for ChainError {}

impl Assigned {
    /// Takes the next message of the chain. On a gap nothing is changed.
    pub fn take(&mut self, assignment: Assignment) -> Result<(), ChainError> {
        match assignment {
            Assignment::Complete(whole) => *self = whole,
            Assignment::Incremental { applies_to, results_in, changes } => {
                if applies_to != self.revision || results_in <= applies_to {
                    return Err(ChainError { held: self.revision, applies_to, results_in });
                }
                changes.into_iter().for_each(|change| self.change(change));
                self.revision = results_in;
            }
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::PutNetwork(network) => drop(self.networks.insert(network.id, network)),
            Change::DropNetwork(id) => self.drop_network(id),
            Change::PutEndpoint(endpoint) => drop(self.endpoints.insert(endpoint.id, endpoint)),
            Change::DropEndpoint(id) => drop(self.endpoints.remove(&id)),
            Change::PutPeer(peer) => drop(self.peers.insert(peer.node, peer)),
            Change::DropPeer(id) => drop(self.peers.remove(&id)),
            Change::Managers(managers) => self.managers = managers,
            Change::Defaults(defaults) => self.defaults = defaults,
            Change::Role(role) => self.role = Some(role),
            Change::PutMember(member) => drop(self.members.insert(member.node, member)),
            Change::DropMember(id) => drop(self.members.remove(&id)),
            Change::PutPair(pair) => drop(self.pairs.insert(pair.node, pair)),
            Change::DropPair(id) => drop(self.pairs.remove(&id)),
        }
    }

    fn drop_network(&mut self, id: NetworkId) {
        self.networks.remove(&id);
        self.endpoints.retain(|_, endpoint| endpoint.network != id);
    }
}
