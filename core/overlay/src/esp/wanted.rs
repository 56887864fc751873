//! What an assignment asks to be encrypted. Knows: networks, endpoints and pairs. Must not know: what is encrypted already.

use super::peer::WantedPeer;
use super::plan::Wanted;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;
use swarm_model::{Assigned, NetworkId, NodeId};

impl Wanted {
    /// A way to every node that has an endpoint on an encrypted network which has one here too.
    pub fn derive(assigned: &Assigned, node: NodeId, vtep: IpAddr) -> Self {
        let encrypted = |id: &NetworkId| assigned.networks.get(id).is_some_and(|n| n.spec.encrypted);
        let own: BTreeSet<NetworkId> =
            assigned.endpoints.values().filter(|e| e.node == node).map(|e| e.network).collect();
        let here: BTreeSet<NetworkId> = own.into_iter().filter(encrypted).collect();
        let others = assigned.endpoints.values().filter(|e| e.node != node && here.contains(&e.network));
        let nodes: BTreeSet<NodeId> = others.map(|endpoint| endpoint.node).collect();
        let peers: BTreeMap<NodeId, WantedPeer> =
            nodes.into_iter().filter_map(|id| Some((id, peer(assigned, id, vtep)?))).collect();
        Self { node, vtep, any: !here.is_empty(), peers }
    }
}

/// `None` where no packet of ours can go.
fn peer(assigned: &Assigned, id: NodeId, vtep: IpAddr) -> Option<WantedPeer> {
    let there = assigned.peers.get(&id)?.data_path_addr;
    let reachable = there.is_ipv4() == vtep.is_ipv4() && there != vtep;
    let pair = assigned.pairs.get(&id);
    let ring = pair.map(|pair| &pair.ring).filter(|ring| !ring.secrets.is_empty());
    reachable.then(|| WantedPeer {
        vtep: there,
        incarnation: pair.and_then(|pair| pair.incarnation),
        ring: ring.cloned(),
    })
}
