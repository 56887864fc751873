//! Reading the state: objects by id, references as people type them, lists. Changes nothing.

use crate::tables::Session;
use crate::{Refusal, Reply, State, Verb};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::str::FromStr;
use swarm_model::{
    Cluster, DnsName, Endpoint, EndpointId, Id, IssuedToken, ManagerPeer, MemberState, Network, NetworkId,
    Node, NodeId, Peer, RequestId, Revision, User, UserId,
};

/// Nodes named in a refusal because a reference means several.
const MOST_NAMED: usize = 4;

impl State {
    /// Raft index of the last entry applied.
    pub fn revision(&self) -> Revision {
        self.tables.applied
    }

    /// The answer this request was given, while it is remembered. Who resolves a name on its behalf looks here first:
    /// what the request has removed is no longer found.
    pub fn answered(&self, request: &RequestId, verb: Verb) -> Option<Reply> {
        self.tables.requests.recall(request, verb)
    }

    pub fn cluster(&self) -> Option<&Cluster> {
        self.tables.cluster.as_deref()
    }

    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.tables.nodes.get(id).map(|node| &**node)
    }

    /// By id.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.tables.nodes.values().map(|node| &**node)
    }

    /// The node's current session; `None` before its first and after it left.
    pub fn session(&self, node: &NodeId) -> Option<&Session> {
        self.tables.sessions.get(node)
    }

    pub fn network(&self, id: &NetworkId) -> Option<&Network> {
        self.tables.networks.get(id).map(|network| &**network)
    }

    /// By id.
    pub fn networks(&self) -> impl ExactSizeIterator<Item = &Network> {
        self.tables.networks.values().map(|network| &**network)
    }

    pub fn network_named(&self, name: &DnsName) -> Option<&Network> {
        self.indices.network_names.get(name).and_then(|id| self.network(id))
    }

    pub fn endpoint(&self, id: &EndpointId) -> Option<&Endpoint> {
        self.tables.endpoints.get(id).map(|placed| &*placed.endpoint)
    }

    /// By id.
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = &Endpoint> {
        self.tables.endpoints.values().map(|placed| &*placed.endpoint)
    }

    /// The endpoints on one network, by node.
    pub fn endpoints_on(&self, network: &NetworkId) -> impl Iterator<Item = &Endpoint> {
        let nodes = self.indices.presence.get(network).into_iter().flat_map(BTreeMap::values);
        nodes.flatten().filter_map(|id| self.endpoint(id))
    }

    /// The endpoints of one node, by network.
    pub fn endpoints_of(&self, node: &NodeId) -> impl Iterator<Item = &Endpoint> {
        let networks = self.indices.networks_of.get(node).into_iter().flatten();
        let node = *node;
        let held = networks.filter_map(move |network| self.indices.presence.get(network)?.get(&node));
        held.flatten().filter_map(|id| self.endpoint(id))
    }

    pub(crate) fn endpoint_ids_of_node(&self, node: &NodeId) -> Vec<EndpointId> {
        self.endpoints_of(node).map(|endpoint| endpoint.id).collect()
    }

    /// The node's endpoints that it does not hold and that existed at `existed_at` (inclusive): what a manager
    /// releases after the node has registered. `existed_at` must be a revision from before the worker wrote its
    /// list, or an endpoint asked for meanwhile would be taken for forgotten.
    pub fn endpoints_not_held(
        &self,
        node: &NodeId,
        held: &BTreeSet<EndpointId>,
        existed_at: Revision,
    ) -> Vec<EndpointId> {
        let old = |id: &EndpointId| self.tables.endpoints.get(id).is_some_and(|p| p.revision <= existed_at);
        self.endpoint_ids_of_node(node).into_iter().filter(|id| !held.contains(id) && old(id)).collect()
    }

    /// The nodes that have endpoints on a network.
    pub fn peers_on(&self, network: &NetworkId) -> impl Iterator<Item = Peer> {
        let nodes = self.indices.presence.get(network).into_iter().flat_map(BTreeMap::keys);
        nodes.filter_map(|id| self.peer(id))
    }

    pub(crate) fn peer(&self, id: &NodeId) -> Option<Peer> {
        let Node { id: node, hostname, data_path_addr, .. } = self.node(id)?;
        Some(Peer { node: *node, hostname: hostname.clone(), data_path_addr: *data_path_addr })
    }

    /// The managers that vote: where others may go with a request.
    pub fn managers(&self) -> Vec<ManagerPeer> {
        let voter = |node: &Node| {
            let manager = node.manager.as_ref().filter(|manager| manager.member == MemberState::Voter)?;
            Some(ManagerPeer { node: node.id, addr: manager.addr })
        };
        self.nodes().filter_map(voter).collect()
    }

    /// A node by full id, exact host name, or unique prefix of its id.
    pub fn resolve_node(&self, reference: &str) -> Result<&Node, Refusal> {
        if let Some(node) = reference.parse().ok().and_then(|id| self.node(&id)) {
            return Ok(node);
        }
        let mut found: Vec<&Node> = self.nodes().filter(|node| node.hostname == reference).collect();
        if found.is_empty() {
            found.extend(prefixed(&self.tables.nodes, reference));
        }
        match found.as_slice() {
            [] => Err(Refusal::NodeNotFound(reference.into())),
            [node] => Ok(node),
            several => Err(Refusal::AmbiguousNode {
                reference: reference.into(),
                matches: several.len(),
                some: several.iter().take(MOST_NAMED).map(|node| (node.id, node.status.state)).collect(),
            }),
        }
    }

    /// The join tokens made by `CreateToken`, by id; ended ones too while they are remembered.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &IssuedToken> {
        self.tables.tokens.values().map(|token| &**token)
    }

    /// By id.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &User> {
        self.tables.users.values().map(|user| &**user)
    }

    pub fn user(&self, id: &UserId) -> Option<&User> {
        self.tables.users.get(id).map(|user| &**user)
    }

    /// A join token by full id or unique prefix of it.
    pub fn resolve_token(&self, reference: &str) -> Result<&IssuedToken, Refusal> {
        let found = one("join token", reference, prefixed(&self.tables.tokens, reference))?;
        found.ok_or_else(|| Refusal::TokenNotFound(reference.into()))
    }

    /// A user by exact name or full id.
    pub fn resolve_user(&self, reference: &str) -> Result<&User, Refusal> {
        let meant = |user: &&User| user.name == reference || user.id.as_str() == reference;
        self.users().find(meant).ok_or_else(|| Refusal::UserNotFound(reference.into()))
    }

    /// A network by full id, exact name, or unique prefix of its id.
    pub fn resolve_network(&self, reference: &str) -> Result<&Network, Refusal> {
        if let Some(network) = reference.parse().ok().and_then(|id| self.network(&id)) {
            return Ok(network);
        }
        if let Some(network) = reference.parse().ok().and_then(|name| self.network_named(&name)) {
            return Ok(network);
        }
        let found = one("network", reference, prefixed(&self.tables.networks, reference))?;
        found.ok_or_else(|| Refusal::NetworkNotFound(reference.into()))
    }
}

/// The one match, none, or the refusal that there are several.
fn one<'a, T>(
    what: &str,
    reference: &str,
    mut matches: impl Iterator<Item = &'a T>,
) -> Result<Option<&'a T>, Refusal> {
    let Some(first) = matches.next() else { return Ok(None) };
    match matches.count() {
        0 => Ok(Some(first)),
        more => {
            let (what, reference) = (what.to_string(), reference.to_string());
            Err(Refusal::Ambiguous { what, reference, matches: more + 1 })
        }
    }
}

/// The rows whose id begins with `prefix`; none when it is empty or cannot begin an id.
fn prefixed<'a, 'p, K, T>(
    table: &'a BTreeMap<Id<K>, Arc<T>>,
    prefix: &'p str,
) -> impl Iterator<Item = &'a T> + use<'a, 'p, K, T> {
    let least = if prefix.is_empty() { None } else { Id::from_str(&format!("{prefix:0<25}")).ok() };
    let rows = least.into_iter().flat_map(|least| table.range(least..));
    rows.take_while(move |(id, _)| id.as_str().starts_with(prefix)).map(|(_, row)| &**row)
}
