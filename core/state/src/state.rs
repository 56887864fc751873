//! The state: tables and the indices over them, kept in step. Every row enters and leaves by a function here.
//! Must not decide whether a change is allowed: that is `apply`.

use crate::Event;
use crate::indices::Indices;
use crate::limits::REST_MS;
use crate::pool::{Found, Leases};
use crate::tables::{Placed, Tables};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use swarm_model::{Endpoint, EndpointId, GOSSIP_PORT, Member, Network, NetworkId, Node, NodeId, NodeState};

/// The replicated state. `clone` and `snapshot` copy pointers to rows, not rows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) tables: Tables,
    pub(crate) indices: Indices,
}

// The tables hold the CA's key: never printed.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("applied", &self.tables.applied)
            .field("nodes", &self.tables.nodes.len())
            .field("networks", &self.tables.networks.len())
            .field("endpoints", &self.tables.endpoints.len())
            .finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn from_tables(tables: Tables) -> Self {
        let indices = Indices::of(&tables);
        Self { tables, indices }
    }

    /// Puts a node in place of what it was, and tells what that concerns.
    pub(crate) fn put_node(&mut self, node: Node, events: &mut Vec<Event>) {
        let id = node.id;
        let before = self.tables.nodes.get(&id);
        let peer_changed = before
            .is_some_and(|old| old.hostname != node.hostname || old.data_path_addr != node.data_path_addr);
        let keys_changed = before.is_some_and(|old| old.incarnation != node.incarnation);
        let managers_changed = before.and_then(|old| old.manager.as_ref()) != node.manager.as_ref();
        let role_changed = before.is_none_or(|old| old.role != node.role);
        let member_changed = before.and_then(|old| member(old)) != member(&node);
        self.tables.nodes.insert(id, Arc::new(node));
        events.push(Event::NodeChanged(id));
        if role_changed {
            events.push(Event::RoleChanged(id));
        }
        if peer_changed {
            events.push(Event::PeerChanged(id));
        }
        if keys_changed {
            events.push(Event::IncarnationChanged(id));
        }
        if managers_changed {
            events.push(Event::ManagersChanged);
        }
        if member_changed {
            events.push(Event::MemberChanged(id));
        }
    }

    /// The node goes, with its endpoints and its session. It must have no place in Raft.
    pub(crate) fn remove_node(&mut self, id: NodeId, events: &mut Vec<Event>) {
        for endpoint in self.endpoint_ids_of_node(&id) {
            self.remove_endpoint(endpoint, events);
        }
        self.tables.sessions.remove(&id);
        let was_member = self.tables.nodes.remove(&id).is_some_and(|node| member(&node).is_some());
        events.push(Event::NodeRemoved(id));
        if was_member {
            events.push(Event::MemberChanged(id));
        }
    }

    pub(crate) fn insert_network(&mut self, network: Network, events: &mut Vec<Event>) -> Arc<Network> {
        let network = Arc::new(network);
        self.indices.add_network(&network);
        self.tables.leases.insert(network.id, Arc::new(Leases::for_network(&network)));
        self.tables.networks.insert(network.id, Arc::clone(&network));
        events.push(Event::NetworkCreated(network.id));
        network
    }

    /// The network must have no endpoints.
    pub(crate) fn remove_network(&mut self, id: NetworkId, events: &mut Vec<Event>) {
        if let Some(network) = self.tables.networks.remove(&id) {
            self.indices.remove_network(&network);
            self.tables.leases.remove(&id);
            events.push(Event::NetworkRemoved(id));
        }
    }

    /// The next searches on that network go on behind the addresses found.
    pub(crate) fn move_cursors(&mut self, network: NetworkId, found: &[Found]) {
        if let Some(leases) = self.tables.leases.get_mut(&network) {
            let leases = Arc::make_mut(leases);
            found.iter().for_each(|one| leases.move_cursor(one.subnet, one.address.addr()));
        }
    }

    pub(crate) fn insert_endpoint(&mut self, endpoint: Arc<Endpoint>, events: &mut Vec<Event>) {
        let (id, network, node) = (endpoint.id, endpoint.network, endpoint.node);
        if let Some(leases) = self.tables.leases.get_mut(&network) {
            let now_ms = self.tables.clock.ms;
            endpoint.ips().for_each(|ip| Arc::make_mut(leases).take(ip, now_ms));
        }
        let first = self.indices.add(&endpoint);
        let placed = Placed { endpoint, revision: self.tables.applied };
        self.tables.endpoints.insert(id, Arc::new(placed));
        events.push(Event::EndpointCreated { endpoint: id, network, node });
        if first {
            events.push(Event::PresenceChanged { network, node });
        }
    }

    /// The endpoint goes; its addresses begin to rest.
    pub(crate) fn remove_endpoint(&mut self, id: EndpointId, events: &mut Vec<Event>) {
        let Some(placed) = self.tables.endpoints.remove(&id) else { return };
        let endpoint = &placed.endpoint;
        let (network, node) = (endpoint.network, endpoint.node);
        if let Some(leases) = self.tables.leases.get_mut(&network) {
            let now_ms = self.tables.clock.ms;
            endpoint
                .ips()
                .for_each(|ip| Arc::make_mut(leases).rest(ip, now_ms, now_ms.saturating_add(REST_MS)));
        }
        let last = self.indices.remove(endpoint);
        events.push(Event::EndpointReleased { endpoint: id, network, node });
        if last {
            events.push(Event::PresenceChanged { network, node });
        }
    }
}

/// How others gossip with a node, unless it has left.
pub(crate) fn member(node: &Node) -> Option<Member> {
    let addr = SocketAddr::new(node.addr, GOSSIP_PORT);
    (node.status.state != NodeState::Disconnected).then_some(Member { node: node.id, addr })
}
