//! What an apply changed. Knows which object was touched, never how: the state says how it is now.
//!
//! That makes a batch of events as good as one: `State::changes_for` may be given the events of any span of
//! entries, as long as the span begins at the revision the receiver holds and ends at the state's own.

use serde::{Deserialize, Serialize};
use swarm_model::{EndpointId, NetworkId, NodeId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A setting that workers see.
    DefaultsChanged,
    /// The set of voters, or where one of them is reached.
    ManagersChanged,
    /// Anything about a node; alone it concerns no worker.
    NodeChanged(NodeId),
    /// A node's host name or data-path address: concerns those that share a network with it.
    PeerChanged(NodeId),
    /// What a node's keys are made with: concerns those that share an encrypted network with it.
    IncarnationChanged(NodeId),
    /// A node came, left or changed its address: concerns everybody who gossips.
    MemberChanged(NodeId),
    /// The role wanted for a node: concerns itself.
    RoleChanged(NodeId),
    /// The node is no member any more: its session must end.
    NodeRemoved(NodeId),
    /// The lock of the managers' files: concerns managers alone.
    LockChanged,
    /// The ring of the cluster's secrets, or that it is time to turn it.
    RingChanged,
    NetworkCreated(NetworkId),
    NetworkRemoved(NetworkId),
    EndpointCreated {
        endpoint: EndpointId,
        network: NetworkId,
        node: NodeId,
    },
    EndpointReleased {
        endpoint: EndpointId,
        network: NetworkId,
        node: NodeId,
    },
    /// A node got its first endpoint on a network or lost its last.
    PresenceChanged {
        network: NetworkId,
        node: NodeId,
    },
}
