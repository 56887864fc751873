//! Who needs what: one node's assignment as a whole, and what a span of events changes about it.
//!
//! A node is assigned the networks it has endpoints on, every endpoint on these, and the nodes those are on; and
//! the predefined networks, which every node shows.

use crate::pairs::{may_be_encrypted, pair, partners};
use crate::state::member;
use crate::{Event, State};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use swarm_model::{Assigned, Change, DriverDefaults, Endpoint, EndpointId, NetworkId, NodeId};

/// The nodes that a span of events may concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    All,
    /// These, and no other.
    Nodes(BTreeSet<NodeId>),
}

impl State {
    /// Everything `node` needs, at this state's revision.
    pub fn assigned(&self, node: &NodeId) -> Assigned {
        let networks: BTreeSet<NetworkId> = self.interests(node).collect();
        let endpoints = || networks.iter().flat_map(|id| self.endpoints_on(id));
        let peers: BTreeSet<NodeId> = endpoints().map(|endpoint| endpoint.node).collect();
        Assigned {
            revision: self.revision(),
            defaults: self.defaults(),
            role: self.node(node).map(|node| node.role),
            managers: self.managers(),
            networks: networks.iter().filter_map(|id| Some((*id, self.network(id)?.clone()))).collect(),
            endpoints: endpoints().map(|endpoint| (endpoint.id, endpoint.clone())).collect(),
            peers: peers.iter().filter_map(|id| Some((*id, self.peer(id)?))).collect(),
            members: self.nodes().filter_map(member).map(|member| (member.node, member)).collect(),
            pairs: peers.iter().filter_map(|id| Some((*id, pair(self, node, id)?))).collect(),
        }
    }

    /// What turns `node`'s assignment at the revision before `events` into the one at this state's revision.
    ///
    /// `events` are those of every entry in between, in any number; more than that does no harm. Empty when
    /// nothing concerns the node. Each change says how its object is now, so the list is as good in any order
    /// (dropped networks, which take their endpoints along, come first).
    pub fn changes_for(&self, node: &NodeId, events: &[Event]) -> Vec<Change> {
        let mut seen = Seen::default();
        events.iter().for_each(|event| seen.note_own(self, node, event));
        events.iter().for_each(|event| seen.note_others(self, node, event));
        seen.changes(self, node)
    }

    /// Whom to ask `changes_for` for. Costs as much as there are interested nodes.
    pub fn touched(&self, events: &[Event]) -> Touched {
        let mut nodes = BTreeSet::new();
        for event in events {
            match event {
                Event::DefaultsChanged
                | Event::ManagersChanged
                | Event::RingChanged
                | Event::MemberChanged(_) => return Touched::All,
                Event::NetworkCreated(network) if self.indices.predefined.contains(network) => {
                    return Touched::All;
                }
                Event::LockChanged
                | Event::NodeChanged(_)
                | Event::NodeRemoved(_)
                | Event::NetworkCreated(_)
                | Event::NetworkRemoved(_) => {}
                Event::RoleChanged(node) => drop(nodes.insert(*node)),
                Event::PeerChanged(peer) | Event::IncarnationChanged(peer) => {
                    let networks = self.indices.networks_of.get(peer).into_iter().flatten();
                    networks.for_each(|network| nodes.extend(self.nodes_on(network)));
                }
                Event::EndpointCreated { network, node, .. }
                | Event::EndpointReleased { network, node, .. }
                | Event::PresenceChanged { network, node } => {
                    if self.indices.predefined.contains(network) {
                        return Touched::All;
                    }
                    nodes.insert(*node);
                    nodes.extend(self.nodes_on(network));
                }
            }
        }
        Touched::Nodes(nodes)
    }

    fn defaults(&self) -> DriverDefaults {
        self.cluster().map_or_else(DriverDefaults::default, |cluster| DriverDefaults {
            data_path_port: cluster.settings.data_path_port,
            heartbeat_ms: cluster.settings.heartbeat_ms,
            lineage: cluster.lineage(),
            roots: cluster.roots(),
            gossip_keys: cluster.ring.gossip_keys(),
        })
    }

    /// The networks `node` needs.
    fn interests(&self, node: &NodeId) -> impl Iterator<Item = NetworkId> {
        let own = self.indices.networks_of.get(node).into_iter().flatten();
        own.chain(&self.indices.predefined).copied()
    }

    fn is_interested(&self, node: &NodeId, network: &NetworkId) -> bool {
        self.is_on(node, network) || self.indices.predefined.contains(network)
    }

    fn is_on(&self, node: &NodeId, network: &NetworkId) -> bool {
        self.indices.presence.get(network).is_some_and(|nodes| nodes.contains_key(node))
    }

    fn nodes_on(&self, network: &NetworkId) -> impl Iterator<Item = NodeId> {
        self.indices.presence.get(network).into_iter().flat_map(BTreeMap::keys).copied()
    }

    /// True when `peer` is on a network that `node` needs.
    fn sees(&self, node: &NodeId, peer: &NodeId) -> bool {
        let count = |of: &NodeId| self.indices.networks_of.get(of).map_or(0, BTreeSet::len);
        if count(peer) < count(node) {
            let networks = self.indices.networks_of.get(peer).into_iter().flatten();
            return networks.into_iter().any(|network| self.is_interested(node, network));
        }
        self.interests(node).any(|network| self.is_on(peer, &network))
    }
}

/// What a span of events touched of what one node may need. How it is now, the state says.
#[derive(Default)]
struct Seen {
    defaults: bool,
    role: bool,
    managers: bool,
    /// Networks the node came to, left, or both.
    networks: BTreeSet<NetworkId>,
    endpoints: BTreeSet<EndpointId>,
    peers: BTreeSet<NodeId>,
    members: BTreeSet<NodeId>,
    pairs: BTreeSet<NodeId>,
}

impl Seen {
    /// The networks the node came to or left within the span.
    fn note_own(&mut self, state: &State, node: &NodeId, event: &Event) {
        let network = match event {
            Event::NetworkCreated(network) if state.indices.predefined.contains(network) => *network,
            Event::PresenceChanged { network, node: who } if who == node => *network,
            _ => return,
        };
        if self.networks.insert(network) {
            self.peers.extend(state.nodes_on(&network));
            if may_be_encrypted(state, &network) {
                self.pairs.extend(state.nodes_on(&network));
            }
            if state.is_interested(node, &network) {
                self.endpoints.extend(state.endpoints_on(&network).map(|endpoint| endpoint.id));
            }
        }
    }

    fn note_others(&mut self, state: &State, node: &NodeId, event: &Event) {
        match event {
            Event::DefaultsChanged => self.defaults = true,
            Event::RingChanged => {
                self.defaults = true;
                self.pairs.extend(partners(state, node));
            }
            Event::IncarnationChanged(who) => {
                if pair(state, node, who).is_some() {
                    self.pairs.insert(*who);
                }
            }
            Event::MemberChanged(who) => drop(self.members.insert(*who)),
            Event::ManagersChanged => self.managers = true,
            Event::RoleChanged(who) => self.role |= who == node,
            Event::LockChanged
            | Event::NodeChanged(_)
            | Event::NodeRemoved(_)
            | Event::NetworkCreated(_)
            | Event::NetworkRemoved(_) => {}
            Event::PeerChanged(peer) => {
                if state.sees(node, peer) {
                    self.peers.insert(*peer);
                }
            }
            Event::EndpointCreated { endpoint, network, .. }
            | Event::EndpointReleased { endpoint, network, .. } => {
                // A node that needs the network no more drops it, and with it all that is on it.
                if state.is_interested(node, network) {
                    self.endpoints.insert(*endpoint);
                }
            }
            Event::PresenceChanged { network, node: who } => {
                // Also on a network the node has left: it may not see `who` any more.
                if state.is_interested(node, network) || self.networks.contains(network) {
                    self.peers.insert(*who);
                    if may_be_encrypted(state, network) {
                        self.pairs.insert(*who);
                    }
                }
            }
        }
    }

    fn changes(self, state: &State, node: &NodeId) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.defaults {
            changes.push(Change::Defaults(state.defaults()));
        }
        if let Some(own) = state.node(node).filter(|_| self.role) {
            changes.push(Change::Role(own.role));
        }
        if self.managers {
            changes.push(Change::Managers(state.managers()));
        }
        let needed = |id: &NetworkId| state.network(id).filter(|_| state.is_interested(node, id));
        let (put, drop): (Vec<&NetworkId>, Vec<_>) =
            self.networks.iter().partition(|id| needed(id).is_some());
        changes.extend(drop.into_iter().map(|id| Change::DropNetwork(*id)));
        changes.extend(put.into_iter().filter_map(needed).cloned().map(Change::PutNetwork));
        changes.extend(self.peers.iter().map(|id| match state.peer(id).filter(|_| state.sees(node, id)) {
            Some(peer) => Change::PutPeer(peer),
            None => Change::DropPeer(*id),
        }));
        let needed = |e: &&Endpoint| state.is_interested(node, &e.network);
        changes.extend(self.endpoints.iter().map(|id| match state.endpoint(id).filter(needed) {
            Some(endpoint) => Change::PutEndpoint(endpoint.clone()),
            None => Change::DropEndpoint(*id),
        }));
        changes.extend(self.members.iter().map(|id| match state.node(id).and_then(member) {
            Some(member) => Change::PutMember(member),
            None => Change::DropMember(*id),
        }));
        changes.extend(self.pairs.iter().filter(|id| *id != node).map(|id| match pair(state, node, id) {
            Some(pair) => Change::PutPair(pair),
            None => Change::DropPair(*id),
        }));
        changes
    }
}
