//! What must hold after every step, whatever the log held. For tests, and for a snapshot before it is trusted.

use crate::State;
use crate::indices::Indices;
use crate::limits::{MAX_ENDPOINTS, MAX_ENDPOINTS_PER_HOST, MAX_NETWORKS, MAX_NODES, MAX_TOKENS, MAX_USERS};
use crate::pool::{Leases, is_reserved};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use swarm_model::{Endpoint, IssuedToken, Network, NodeState, overlaps};

type Problems = Vec<String>;

impl State {
    /// `Err` lists everything that is wrong. Costs as much as rebuilding the indices.
    pub fn check_invariants(&self) -> Result<(), Vec<String>> {
        if self.indices != Indices::of(&self.tables) {
            return Err(vec!["the indices do not match the tables".into()]);
        }
        self.check_tables()
    }

    /// The same where the indices have just been made of the tables.
    pub(crate) fn check_tables(&self) -> Result<(), Vec<String>> {
        let mut problems = Problems::new();
        self.check_limits(&mut problems);
        self.check_nodes(&mut problems);
        self.check_networks(&mut problems);
        self.check_endpoints(&mut problems);
        self.check_access(&mut problems);
        self.networks().for_each(|network| self.check_leases(network, &mut problems));
        problems.extend(self.tables.requests.problems().map(String::from));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn check_limits(&self, problems: &mut Problems) {
        let tables = &self.tables;
        let counts = [
            ("nodes", tables.nodes.len(), MAX_NODES),
            ("networks", tables.networks.len(), MAX_NETWORKS),
            ("endpoints", tables.endpoints.len(), MAX_ENDPOINTS),
            ("join tokens", tables.tokens.len(), MAX_TOKENS),
            ("users", tables.users.len(), MAX_USERS),
        ];
        for (what, count, limit) in counts.into_iter().filter(|(_, count, limit)| count > limit) {
            problems.push(format!("{count} {what}, more than {limit}"));
        }
        let per_host = self.indices.presence.values().flat_map(|nodes| nodes.values());
        if per_host.into_iter().any(|held| held.len() > MAX_ENDPOINTS_PER_HOST) {
            problems.push("a network has too many endpoints on one host".into());
        }
    }

    fn check_nodes(&self, problems: &mut Problems) {
        if self.tables.cluster.is_none() && (self.nodes().len(), self.networks().len()) != (0, 0) {
            problems.push("there are nodes or networks, but no cluster".into());
        }
        let mut raft_ids = BTreeSet::new();
        for node in self.nodes() {
            let gone = node.status.state == NodeState::Disconnected;
            if gone && (self.session(&node.id).is_some() || node.manager.is_some()) {
                problems.push(format!("node {} left, but has a session or a place among managers", node.id));
            }
            if node.manager.as_ref().is_some_and(|manager| !raft_ids.insert(manager.raft_id)) {
                problems.push(format!("node {} has another one's Raft id", node.id));
            }
        }
        for id in self.tables.sessions.keys().filter(|id| self.node(id).is_none()) {
            problems.push(format!("a session of {id}, which is no node"));
        }
    }

    /// I10, and that subnets are disjoint: each VNI and name leads back to its network, neighbours by order do
    /// not overlap, and no two subnets begin alike.
    fn check_networks(&self, problems: &mut Problems) {
        for network in self.networks() {
            if self.indices.vnis.get(&network.vni) != Some(&network.id) {
                problems.push(format!("VNI {} is used twice", network.vni));
            }
            if self.network_named(network.name()).map(|found| found.id) != Some(network.id) {
                problems.push(format!("network name {} is used twice", network.name()));
            }
        }
        let subnets: Vec<_> = self.indices.subnets.values().collect();
        if subnets.len() != self.networks().map(|network| network.subnets.len()).sum() {
            problems.push("two subnets begin with the same address".into());
        }
        for (one, other) in subnets.iter().zip(subnets.iter().skip(1)) {
            if overlaps(&one.0, &other.0) {
                problems.push(format!("subnets {} and {} overlap", one.0, other.0));
            }
        }
        if self.tables.leases.keys().ne(self.tables.networks.keys()) {
            problems.push("not every network has its leases, or leases outlived their network".into());
        }
    }

    /// I9: the indices hold each (network, address), (network, MAC) and (network, name) once; an endpoint they do
    /// not lead back to shares one with another.
    fn check_endpoints(&self, problems: &mut Problems) {
        for endpoint in self.endpoints() {
            let Some(network) = self.network(&endpoint.network) else {
                problems.push(format!("endpoint {} is on a network that does not exist", endpoint.id));
                continue;
            };
            if self.node(&endpoint.node).is_none_or(|node| node.status.state == NodeState::Disconnected) {
                problems.push(format!("endpoint {} is on a node that is none or has left", endpoint.id));
            }
            if !self.leads_back(endpoint) {
                problems.push(format!("endpoint {} shares its name, MAC or address", endpoint.id));
            }
            if !has_right_addresses(network, endpoint) {
                problems
                    .push(format!("endpoint {} has wrong addresses {:?}", endpoint.id, endpoint.addresses));
            }
        }
    }

    /// No token admitted more nodes than it may, and no two users have one name.
    fn check_access(&self, problems: &mut Problems) {
        for token in self.tokens() {
            if token.uses.is_some_and(|uses| token.used > uses) {
                problems.push(format!("join token {} was used more often than it may be", token.id));
            }
            if token.used_by.len() > IssuedToken::MOST_NAMED {
                problems.push(format!("join token {} remembers too many who used it", token.id));
            }
        }
        let names: BTreeSet<&str> = self.users().map(|user| user.name.as_str()).collect();
        if names.len() != self.users().len() {
            problems.push("two users have one name".into());
        }
    }

    fn leads_back(&self, endpoint: &Endpoint) -> bool {
        let (network, indices, id) = (endpoint.network, &self.indices, Some(&endpoint.id));
        indices.endpoint_names.get(&(network, endpoint.name.clone())) == id
            && indices.macs.get(&(network, endpoint.mac)) == id
            && endpoint.ips().all(|ip| indices.addresses.get(&(network, ip)) == id)
    }

    fn check_leases(&self, network: &Network, problems: &mut Problems) {
        let Some(Leases { last, resting }) = self.tables.leases.get(&network.id).map(|leases| &**leases)
        else {
            return;
        };
        let inside = |(ip, subnet): (&Option<core::net::IpAddr>, &swarm_model::Subnet)| {
            ip.is_none_or(|ip| subnet.cidr.contains(&ip))
        };
        if last.len() != network.subnets.len() || !last.iter().zip(&network.subnets).all(inside) {
            problems.push(format!("cursors of network {} are out of its subnets", network.id));
        }
        let held = |ip| self.indices.addresses.contains_key(&(network.id, ip));
        let foreign = |ip| !network.subnets.iter().any(|subnet| subnet.cidr.contains(&ip));
        if !resting.is_consistent() || resting.iter().any(|ip| held(ip) || foreign(ip)) {
            problems.push(format!("network {} lets addresses rest that are held or not its own", network.id));
        }
    }
}

/// One address of each family the network has, in a subnet, with its length, and not reserved.
fn has_right_addresses(network: &Network, endpoint: &Endpoint) -> bool {
    let families = [true, false].map(|ipv4| {
        let has = network.subnets.iter().any(|subnet| subnet.cidr.addr().is_ipv4() == ipv4);
        let count = endpoint.ips().filter(|ip| ip.is_ipv4() == ipv4).count();
        count == usize::from(has)
    });
    let fits = |net: &ipnet::IpNet| {
        network.subnets.iter().any(|subnet| subnet.cidr == net.trunc() && !is_reserved(subnet, net.addr()))
    };
    families == [true, true] && endpoint.addresses.iter().all(fits)
}
