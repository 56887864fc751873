//! What is derived from the tables to answer quickly. Never stored: rebuilt from a snapshot, kept up by `state`.

use crate::tables::Tables;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;
use ipnet::IpNet;
use swarm_model::{DnsName, Endpoint, EndpointId, MacAddr, Network, NetworkId, NodeId, Vni};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indices {
    pub network_names: BTreeMap<DnsName, NetworkId>,
    pub vnis: BTreeMap<Vni, NetworkId>,
    /// Each subnet by its first address. They are disjoint, so a neighbour by order is all an overlap check needs.
    pub subnets: BTreeMap<IpAddr, (IpNet, NetworkId)>,
    /// Networks that concern every node.
    pub predefined: BTreeSet<NetworkId>,
    pub endpoint_names: BTreeMap<(NetworkId, DnsName), EndpointId>,
    pub addresses: BTreeMap<(NetworkId, IpAddr), EndpointId>,
    pub macs: BTreeMap<(NetworkId, MacAddr), EndpointId>,
    /// Who is where: network → node → endpoints. No empty inner maps.
    pub presence: BTreeMap<NetworkId, BTreeMap<NodeId, BTreeSet<EndpointId>>>,
    /// The networks a node has endpoints on. No empty sets.
    pub networks_of: BTreeMap<NodeId, BTreeSet<NetworkId>>,
}

impl Indices {
    pub fn of(tables: &Tables) -> Self {
        let mut indices = Self::default();
        tables.networks.values().for_each(|network| indices.add_network(network));
        for placed in tables.endpoints.values() {
            indices.add(&placed.endpoint);
        }
        indices
    }

    pub fn add_network(&mut self, network: &Network) {
        self.network_names.insert(network.name().clone(), network.id);
        self.vnis.insert(network.vni, network.id);
        for subnet in &network.subnets {
            self.subnets.insert(subnet.cidr.network(), (subnet.cidr, network.id));
        }
        if network.predefined {
            self.predefined.insert(network.id);
        }
    }

    pub fn remove_network(&mut self, network: &Network) {
        self.network_names.remove(network.name());
        self.vnis.remove(&network.vni);
        for subnet in &network.subnets {
            self.subnets.remove(&subnet.cidr.network());
        }
        self.predefined.remove(&network.id);
    }

    /// True when it is the node's first endpoint on that network.
    pub fn add(&mut self, endpoint: &Endpoint) -> bool {
        let Endpoint { id, network, node, .. } = *endpoint;
        self.endpoint_names.insert((network, endpoint.name.clone()), id);
        self.macs.insert((network, endpoint.mac), id);
        for ip in endpoint.ips() {
            self.addresses.insert((network, ip), id);
        }
        self.presence.entry(network).or_default().entry(node).or_default().insert(id);
        self.networks_of.entry(node).or_default().insert(network)
    }

    /// True when it was the node's last endpoint on that network.
    pub fn remove(&mut self, endpoint: &Endpoint) -> bool {
        let Endpoint { id, network, node, .. } = *endpoint;
        self.endpoint_names.remove(&(network, endpoint.name.clone()));
        self.macs.remove(&(network, endpoint.mac));
        for ip in endpoint.ips() {
            self.addresses.remove(&(network, ip));
        }
        let last = self.remove_presence(network, node, id);
        if last && let Some(networks) = self.networks_of.get_mut(&node) {
            networks.remove(&network);
            if networks.is_empty() {
                self.networks_of.remove(&node);
            }
        }
        last
    }

    fn remove_presence(&mut self, network: NetworkId, node: NodeId, id: EndpointId) -> bool {
        let Some(nodes) = self.presence.get_mut(&network) else { return false };
        let Some(held) = nodes.get_mut(&node) else { return false };
        held.remove(&id);
        if !held.is_empty() {
            return false;
        }
        nodes.remove(&node);
        if nodes.is_empty() {
            self.presence.remove(&network);
        }
        true
    }

    /// The subnet in use that shares an address with `wanted`.
    pub fn overlapping(&self, wanted: &IpNet) -> Option<(IpNet, NetworkId)> {
        let (first, last) = (wanted.network(), wanted.broadcast());
        let inside = self.subnets.range(first..=last).next();
        let around = self.subnets.range(..first).next_back().filter(|(_, (net, _))| net.contains(&first));
        inside.or(around).map(|(_, found)| *found)
    }

    /// How many endpoints a node has on a network.
    pub fn count_on(&self, network: NetworkId, node: NodeId) -> usize {
        self.presence.get(&network).and_then(|nodes| nodes.get(&node)).map_or(0, BTreeSet::len)
    }
}
