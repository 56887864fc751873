//! Assignments and their parts on the wire and in the model.

use crate::cluster::{lineage, past};
use crate::convert::{ConvertError, ID, IP, SOCKET, each, inner, narrow, parse, required};
use crate::enums::{word, word_or_none};
use crate::v1;
use swarm_model as model;
use v1::change::Change as Wire;
use v1::manager_message::Message;

impl From<&model::ManagerPeer> for v1::ManagerPeer {
    fn from(peer: &model::ManagerPeer) -> Self {
        Self { node: peer.node.to_string(), addr: peer.addr.to_string() }
    }
}

impl TryFrom<v1::ManagerPeer> for model::ManagerPeer {
    type Error = ConvertError;

    fn try_from(peer: v1::ManagerPeer) -> Result<Self, ConvertError> {
        Ok(Self { node: parse("node", &peer.node, ID)?, addr: parse("addr", &peer.addr, SOCKET)? })
    }
}

impl From<&model::Peer> for v1::Peer {
    fn from(peer: &model::Peer) -> Self {
        Self {
            node: peer.node.to_string(),
            hostname: peer.hostname.clone(),
            data_path_addr: peer.data_path_addr.to_string(),
        }
    }
}

impl TryFrom<v1::Peer> for model::Peer {
    type Error = ConvertError;

    fn try_from(peer: v1::Peer) -> Result<Self, ConvertError> {
        Ok(Self {
            node: parse("node", &peer.node, ID)?,
            hostname: peer.hostname,
            data_path_addr: parse("data_path_addr", &peer.data_path_addr, IP)?,
        })
    }
}

impl From<&model::Member> for v1::Member {
    fn from(member: &model::Member) -> Self {
        Self { node: member.node.to_string(), addr: member.addr.to_string() }
    }
}

impl TryFrom<v1::Member> for model::Member {
    type Error = ConvertError;

    fn try_from(member: v1::Member) -> Result<Self, ConvertError> {
        Ok(Self { node: parse("node", &member.node, ID)?, addr: parse("addr", &member.addr, SOCKET)? })
    }
}

impl From<&model::GossipKey> for v1::GossipKey {
    fn from(key: &model::GossipKey) -> Self {
        Self { generation: key.generation, secret: key.secret.0.to_vec() }
    }
}

impl TryFrom<v1::GossipKey> for model::GossipKey {
    type Error = ConvertError;

    fn try_from(key: v1::GossipKey) -> Result<Self, ConvertError> {
        let secret = <[u8; 32]>::try_from(key.secret.as_slice());
        let secret = secret.map_err(|_| ConvertError::new("secret", &"(not shown)", "32 bytes"))?;
        Ok(Self { generation: key.generation, secret: model::SecretBytes(secret) })
    }
}

impl From<&model::DriverDefaults> for v1::DriverDefaults {
    fn from(defaults: &model::DriverDefaults) -> Self {
        let model::DriverDefaults { data_path_port, heartbeat_ms, lineage, roots, gossip_keys } = defaults;
        Self {
            data_path_port: (*data_path_port).into(),
            heartbeat_ms: *heartbeat_ms,
            epoch: lineage.epoch.as_u64(),
            past: past(lineage),
            roots: roots.clone(),
            gossip_keys: gossip_keys.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::DriverDefaults> for model::DriverDefaults {
    type Error = ConvertError;

    fn try_from(defaults: v1::DriverDefaults) -> Result<Self, ConvertError> {
        let data_path_port = narrow("data_path_port", defaults.data_path_port, "a port: 1024 to 49151")?;
        let lineage = lineage(defaults.epoch, &defaults.past);
        Ok(Self {
            data_path_port,
            heartbeat_ms: defaults.heartbeat_ms,
            lineage,
            roots: defaults.roots,
            gossip_keys: each("gossip_keys", defaults.gossip_keys)?,
        })
    }
}

impl From<&model::Assigned> for v1::CompleteAssignment {
    fn from(assigned: &model::Assigned) -> Self {
        Self {
            revision: assigned.revision,
            defaults: Some((&assigned.defaults).into()),
            managers: assigned.managers.iter().map(Into::into).collect(),
            networks: assigned.networks.values().map(Into::into).collect(),
            endpoints: assigned.endpoints.values().map(Into::into).collect(),
            peers: assigned.peers.values().map(Into::into).collect(),
            members: assigned.members.values().map(Into::into).collect(),
            pairs: assigned.pairs.values().map(Into::into).collect(),
            role: assigned.role.map_or(v1::Role::Unspecified, v1::Role::from).into(),
        }
    }
}

impl TryFrom<v1::CompleteAssignment> for model::Assigned {
    type Error = ConvertError;

    fn try_from(whole: v1::CompleteAssignment) -> Result<Self, ConvertError> {
        let networks: Vec<model::Network> = each("networks", whole.networks)?;
        let endpoints: Vec<model::Endpoint> = each("endpoints", whole.endpoints)?;
        let peers: Vec<model::Peer> = each("peers", whole.peers)?;
        let members: Vec<model::Member> = each("members", whole.members)?;
        let pairs: Vec<model::Pair> = each("pairs", whole.pairs)?;
        Ok(Self {
            revision: whole.revision,
            defaults: inner("defaults", whole.defaults)?,
            role: word_or_none("role", whole.role)?,
            managers: each("managers", whole.managers)?,
            networks: networks.into_iter().map(|n| (n.id, n)).collect(),
            endpoints: endpoints.into_iter().map(|e| (e.id, e)).collect(),
            peers: peers.into_iter().map(|p| (p.node, p)).collect(),
            members: members.into_iter().map(|m| (m.node, m)).collect(),
            pairs: pairs.into_iter().map(|p| (p.node, p)).collect(),
        })
    }
}

impl From<&model::Change> for v1::Change {
    fn from(change: &model::Change) -> Self {
        use model::Change;
        let change = match change {
            Change::PutNetwork(network) => Wire::PutNetwork(network.into()),
            Change::DropNetwork(id) => Wire::DropNetwork(id.to_string()),
            Change::PutEndpoint(endpoint) => Wire::PutEndpoint(endpoint.into()),
            Change::DropEndpoint(id) => Wire::DropEndpoint(id.to_string()),
            Change::PutPeer(peer) => Wire::PutPeer(peer.into()),
            Change::DropPeer(id) => Wire::DropPeer(id.to_string()),
            Change::Managers(managers) => {
                Wire::Managers(v1::ManagerPeers { managers: managers.iter().map(Into::into).collect() })
            }
            Change::Defaults(defaults) => Wire::Defaults(defaults.into()),
            Change::Role(role) => Wire::Role(v1::Role::from(*role).into()),
            Change::PutMember(member) => Wire::PutMember(member.into()),
            Change::DropMember(id) => Wire::DropMember(id.to_string()),
            Change::PutPair(pair) => Wire::PutPair(pair.into()),
            Change::DropPair(id) => Wire::DropPair(id.to_string()),
        };
        Self { change: Some(change) }
    }
}

impl TryFrom<v1::Change> for model::Change {
    type Error = ConvertError;

    /// A kind of change this version does not know arrives as "not set" and is an error: the session starts again.
    fn try_from(change: v1::Change) -> Result<Self, ConvertError> {
        Ok(match required("change", change.change)? {
            Wire::PutNetwork(network) => Self::PutNetwork(inner("put_network", Some(network))?),
            Wire::DropNetwork(id) => Self::DropNetwork(parse("drop_network", &id, ID)?),
            Wire::PutEndpoint(endpoint) => Self::PutEndpoint(inner("put_endpoint", Some(endpoint))?),
            Wire::DropEndpoint(id) => Self::DropEndpoint(parse("drop_endpoint", &id, ID)?),
            Wire::PutPeer(peer) => Self::PutPeer(inner("put_peer", Some(peer))?),
            Wire::DropPeer(id) => Self::DropPeer(parse("drop_peer", &id, ID)?),
            Wire::Managers(peers) => Self::Managers(each("managers", peers.managers)?),
            Wire::Defaults(defaults) => Self::Defaults(inner("defaults", Some(defaults))?),
            Wire::Role(role) => Self::Role(word("role", role)?),
            Wire::PutMember(member) => Self::PutMember(inner("put_member", Some(member))?),
            Wire::DropMember(id) => Self::DropMember(parse("drop_member", &id, ID)?),
            Wire::PutPair(pair) => Self::PutPair(inner("put_pair", Some(pair))?),
            Wire::DropPair(id) => Self::DropPair(parse("drop_pair", &id, ID)?),
        })
    }
}

impl From<&model::Assignment> for v1::ManagerMessage {
    fn from(assignment: &model::Assignment) -> Self {
        let message = match assignment {
            model::Assignment::Complete(assigned) => Message::Complete(assigned.into()),
            model::Assignment::Incremental { applies_to, results_in, changes } => {
                Message::Incremental(v1::IncrementalAssignment {
                    applies_to: *applies_to,
                    results_in: *results_in,
                    changes: changes.iter().map(Into::into).collect(),
                })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::CompleteAssignment> for model::Assignment {
    type Error = ConvertError;

    fn try_from(whole: v1::CompleteAssignment) -> Result<Self, ConvertError> {
        model::Assigned::try_from(whole).map(Self::Complete)
    }
}

impl TryFrom<v1::IncrementalAssignment> for model::Assignment {
    type Error = ConvertError;

    fn try_from(step: v1::IncrementalAssignment) -> Result<Self, ConvertError> {
        let changes = each("changes", step.changes)?;
        Ok(Self::Incremental { applies_to: step.applies_to, results_in: step.results_in, changes })
    }
}
