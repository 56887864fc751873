//! Which nodes encrypt between each other: those that share an encrypted network. Must not know how keys are made, so what
//! stands here has no secrets in it yet: they are put in by whoever sends it.

use crate::State;
use alloc::collections::{BTreeMap, BTreeSet};
use swarm_model::{NetworkId, NodeId, Pair, PairRing};

/// One that was removed may have been.
pub fn may_be_encrypted(state: &State, network: &NetworkId) -> bool {
    state.network(network).is_none_or(|network| network.spec.encrypted)
}

/// The encrypted networks that a node has endpoints on.
fn encrypted(state: &State, node: &NodeId) -> impl Iterator<Item = NetworkId> {
    let own = state.indices.networks_of.get(node).into_iter().flatten();
    own.copied().filter(|id| state.network(id).is_some_and(|network| network.spec.encrypted))
}

/// Those that a node encrypts with.
pub fn partners(state: &State, node: &NodeId) -> BTreeSet<NodeId> {
    let on = |network| state.indices.presence.get(&network).into_iter().flat_map(BTreeMap::keys).copied();
    encrypted(state, node).flat_map(on).filter(|other| other != node).collect()
}

/// What `node` is to know of `other`, if they encrypt.
pub fn pair(state: &State, node: &NodeId, other: &NodeId) -> Option<Pair> {
    let there = |network: &NetworkId| {
        state.indices.presence.get(network).is_some_and(|nodes| nodes.contains_key(other))
    };
    encrypted(state, node).find(there).filter(|_| node != other)?;
    let incarnation = state.node(other)?.incarnation;
    Some(Pair { node: *other, incarnation, ring: PairRing::default() })
}
