//! Rules for endpoints: all or none of a command's are planned first (addresses, MACs, names), then put in place.

use super::{Step, size};
use crate::limits::{
    MAX_ENDPOINTS, MAX_ENDPOINTS_PER_COMMAND, MAX_ENDPOINTS_PER_HOST, MAX_RELEASES_PER_COMMAND,
};
use crate::pool::{Found, find, is_reserved};
use crate::{CreateEndpoints, NewEndpoint, Refusal, Reply};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use ipnet::IpNet;
use swarm_model::{
    Availability, ENCRYPTION_LEVEL, Endpoint, EndpointId, MacAddr, Network, Node, NodeId, NodeState, Subnet,
    mac_for_ip,
};

/// One endpoint of a command, in the order asked for.
enum Planned {
    /// It exists as asked for, since that revision.
    There(Arc<Endpoint>, u64),
    New {
        endpoint: Arc<Endpoint>,
        /// Addresses that a search found, whose cursors are to move.
        found: Vec<Found>,
    },
}

impl Planned {
    fn new_one(&self) -> Option<&Endpoint> {
        match self {
            Self::There(..) => None,
            Self::New { endpoint, .. } => Some(endpoint),
        }
    }
}

pub fn create(step: &mut Step<'_>, create: &CreateEndpoints) -> Result<Reply, Refusal> {
    if create.endpoints.len() > MAX_ENDPOINTS_PER_COMMAND {
        return Err(Refusal::TooMany { what: "endpoints".into(), limit: MAX_ENDPOINTS_PER_COMMAND });
    }
    let mut planned = Vec::new();
    for new in &create.endpoints {
        let one = match step.state.tables.endpoints.get(&new.id) {
            Some(placed) => already(create.node, new, &placed.endpoint, placed.revision)?,
            None => plan(step, create.node, new, &planned)?,
        };
        planned.push(one);
    }
    let added = planned.iter().filter(|one| one.new_one().is_some()).count();
    if step.state.tables.endpoints.len() + added > MAX_ENDPOINTS {
        return Err(Refusal::Limit { what: "endpoints".into(), limit: MAX_ENDPOINTS });
    }
    Ok(commit(step, planned))
}

fn commit(step: &mut Step<'_>, planned: Vec<Planned>) -> Reply {
    let mut revision = 0;
    let mut endpoints = Vec::new();
    for one in planned {
        match one {
            Planned::There(endpoint, since) => {
                revision = since.max(revision);
                endpoints.push(endpoint);
            }
            Planned::New { endpoint, found } => {
                revision = step.index;
                step.state.move_cursors(endpoint.network, &found);
                step.state.insert_endpoint(Arc::clone(&endpoint), &mut step.events);
                endpoints.push(endpoint);
            }
        }
    }
    Reply::Endpoints { endpoints, revision }
}

/// The answer for an id that exists: the endpoint, if it is the one asked for.
fn already(node: NodeId, new: &NewEndpoint, there: &Arc<Endpoint>, since: u64) -> Result<Planned, Refusal> {
    let same_place = there.node == node && there.network == new.network && there.sandbox == new.sandbox;
    let same_ask = there.name == new.name
        && there.aliases == new.aliases
        && new.ip.is_none_or(|ip| there.ips().any(|held| held == ip))
        && new.mac.is_none_or(|mac| there.mac == mac);
    if same_place && same_ask {
        Ok(Planned::There(Arc::clone(there), since))
    } else {
        Err(Refusal::EndpointIdTaken(new.id))
    }
}

fn plan(step: &Step<'_>, node: NodeId, new: &NewEndpoint, before: &[Planned]) -> Result<Planned, Refusal> {
    let id = new.network;
    let network = step.state.network(&id).ok_or_else(|| Refusal::NetworkNotFound(id.to_string()))?;
    if !network.spec.attachable {
        return Err(Refusal::NotAttachable(network.name().clone()));
    }
    size::check_object("the endpoint", size::of_endpoint(new))?;
    let place = Place { step, network, node, before };
    place.check_node()?;
    place.check_encryption()?;
    place.check_free(new)?;
    let (addresses, found) = place.addresses(new)?;
    let mac = place.mac(new, &addresses)?;
    let endpoint = Arc::new(Endpoint {
        id: new.id,
        network: network.id,
        node,
        sandbox: new.sandbox,
        name: new.name.clone(),
        aliases: new.aliases.clone(),
        addresses,
        mac,
        created_ms: step.wall_ms,
    });
    Ok(Planned::New { endpoint, found })
}

/// Where an endpoint is to be: a node on a network, beside those placed there and those planned before it.
struct Place<'a> {
    step: &'a Step<'a>,
    network: &'a Network,
    node: NodeId,
    before: &'a [Planned],
}

impl Place<'_> {
    /// Endpoints of this network planned by this command.
    fn planned(&self) -> impl Iterator<Item = &Endpoint> {
        self.before.iter().filter_map(Planned::new_one).filter(|planned| planned.network == self.network.id)
    }

    /// A node that knows no encrypted networks would build this one in clear.
    fn check_encryption(&self) -> Result<(), Refusal> {
        let able = |node: &Node| !self.network.spec.encrypted || node.features >= ENCRYPTION_LEVEL;
        match self.step.state.node(&self.node).filter(|node| !able(node)) {
            None => Ok(()),
            Some(node) => Err(Refusal::NoEncryption {
                network: self.network.name().clone(),
                host: node.hostname.clone(),
                features: node.features,
            }),
        }
    }

    fn check_node(&self) -> Result<(), Refusal> {
        let node = self.step.state.node(&self.node);
        let node = node.ok_or_else(|| Refusal::NodeNotFound(self.node.to_string()))?;
        if node.status.state == NodeState::Disconnected {
            return Err(Refusal::NodeLeft(node.id));
        }
        match node.availability {
            Availability::Active => {}
            availability @ (Availability::Pause | Availability::Drain) => {
                return Err(Refusal::NodeUnavailable { host: node.hostname.clone(), availability });
            }
        }
        let there = self.step.state.indices.count_on(self.network.id, self.node) + self.planned().count();
        if there < MAX_ENDPOINTS_PER_HOST {
            return Ok(());
        }
        let (network, host) = (self.network.name().clone(), node.hostname.clone());
        Err(Refusal::HostFull { network, host, limit: MAX_ENDPOINTS_PER_HOST })
    }

    /// The id twice in one command, and the name.
    fn check_free(&self, new: &NewEndpoint) -> Result<(), Refusal> {
        if self.before.iter().filter_map(Planned::new_one).any(|planned| planned.id == new.id) {
            return Err(Refusal::EndpointIdTaken(new.id));
        }
        let holder = self.step.state.indices.endpoint_names.get(&(self.network.id, new.name.clone()));
        let holder = holder.and_then(|id| self.step.state.endpoint(id)).map(|endpoint| endpoint.node);
        let holder = holder.or_else(|| self.planned().find(|e| e.name == new.name).map(|e| e.node));
        match holder {
            None => Ok(()),
            Some(node) => {
                let (network, host) = (self.network.name().clone(), self.step.host(node));
                Err(Refusal::EndpointNameTaken { name: new.name.clone(), network, host })
            }
        }
    }

    /// One address of each family the network has, IPv4 first.
    fn addresses(&self, new: &NewEndpoint) -> Result<(Vec<IpNet>, Vec<Found>), Refusal> {
        let asked = new.ip.map(|ip| self.asked_for(ip)).transpose()?;
        let (mut addresses, mut found) = (Vec::new(), Vec::new());
        for ipv4 in [true, false] {
            match asked {
                Some(asked) if asked.addr().is_ipv4() == ipv4 => addresses.push(asked),
                _ if self.network.subnets.iter().any(|s| s.cidr.addr().is_ipv4() == ipv4) => {
                    let next = self.next(ipv4, new.mac.is_none() && addresses.is_empty())?;
                    addresses.push(next.address);
                    found.push(next);
                }
                _ => {}
            }
        }
        Ok((addresses, found))
    }

    /// An address asked for by name is usable at once, also while it rests.
    fn asked_for(&self, ip: IpAddr) -> Result<IpNet, Refusal> {
        let name = || self.network.name().clone();
        let Some(subnet) = self.network.subnets.iter().find(|subnet| subnet.cidr.contains(&ip)) else {
            return Err(Refusal::AddressOutside { ip, network: name(), subnets: self.cidrs() });
        };
        if is_reserved(subnet, ip) {
            return Err(Refusal::AddressReserved { ip, network: name() });
        }
        if let Some(holder) = self.holder(ip) {
            let (user, host) = (holder.name.clone(), self.step.host(holder.node));
            return Err(Refusal::AddressTaken { ip, network: name(), user, host });
        }
        // The prefix length is the subnet's own, so it fits.
        Ok(IpNet::new(ip, subnet.cidr.prefix_len()).unwrap_or(subnet.cidr))
    }

    /// `with_mac`: the MAC will be derived from the address and must be free too.
    fn next(&self, ipv4: bool, with_mac: bool) -> Result<Found, Refusal> {
        let tables = &self.step.state.tables;
        let Some(leases) = tables.leases.get(&self.network.id) else {
            return Err(Refusal::NetworkNotFound(self.network.id.to_string()));
        };
        let taken = |ip| self.holder(ip).is_some() || (with_mac && self.mac_holder(mac_for_ip(ip)).is_some());
        let now_ms = tables.clock.ms;
        find(self.network, leases, ipv4, (now_ms, &taken)).map_err(|full| {
            let network = self.network.name().clone();
            match full.resting {
                0 => Refusal::AddressesExhausted { network, subnets: self.cidrs() },
                resting => {
                    let wait_ms = full.first_free_ms.saturating_sub(now_ms);
                    Refusal::AddressesResting { network, resting, wait_ms }
                }
            }
        })
    }

    fn mac(&self, new: &NewEndpoint, addresses: &[IpNet]) -> Result<MacAddr, Refusal> {
        let derived = || addresses.first().map(|net| mac_for_ip(net.addr()));
        let Some(mac) = new.mac.or_else(derived) else {
            let (network, subnets) = (self.network.name().clone(), self.cidrs());
            return Err(Refusal::AddressesExhausted { network, subnets });
        };
        if !mac.is_unicast() {
            return Err(Refusal::MacUnusable(mac));
        }
        match self.mac_holder(mac) {
            None => Ok(mac),
            Some(user) => {
                Err(Refusal::MacTaken { mac, network: self.network.name().clone(), user: user.name.clone() })
            }
        }
    }

    fn holder(&self, ip: IpAddr) -> Option<&Endpoint> {
        let state = &*self.step.state;
        let placed = state.indices.addresses.get(&(self.network.id, ip)).and_then(|id| state.endpoint(id));
        placed.or_else(|| self.planned().find(|planned| planned.ips().any(|held| held == ip)))
    }

    fn mac_holder(&self, mac: MacAddr) -> Option<&Endpoint> {
        let state = &*self.step.state;
        let placed = state.indices.macs.get(&(self.network.id, mac)).and_then(|id| state.endpoint(id));
        placed.or_else(|| self.planned().find(|planned| planned.mac == mac))
    }

    fn cidrs(&self) -> Vec<IpNet> {
        self.network.subnets.iter().map(|subnet: &Subnet| subnet.cidr).collect()
    }
}

pub fn release(step: &mut Step<'_>, node: NodeId, ids: &[EndpointId]) -> Result<Reply, Refusal> {
    if ids.len() > MAX_RELEASES_PER_COMMAND {
        return Err(Refusal::TooMany { what: "endpoints".into(), limit: MAX_RELEASES_PER_COMMAND });
    }
    let there = || ids.iter().filter_map(|id| step.state.endpoint(id));
    if let Some(foreign) = there().find(|endpoint| endpoint.node != node) {
        return Err(Refusal::EndpointElsewhere { endpoint: foreign.id });
    }
    let revision = if there().next().is_some() { step.index } else { 0 };
    for id in ids {
        step.state.remove_endpoint(*id, &mut step.events);
    }
    Ok(Reply::Released { revision })
}
