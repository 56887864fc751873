//! Rules for networks: subnets, gateways and VNIs are allocated here, before the answer; removal only when unused.

use super::{Step, size};
use crate::limits::{MAX_NETWORKS, MAX_USERS_NAMED};
use crate::pool::{Cursors, default_gateway, next_ipv4, next_ipv6, next_vni};
use crate::{CreateNetwork, Refusal, Reply, User};
use alloc::string::ToString;
use alloc::vec::Vec;
use ipnet::IpNet;
use swarm_model::{
    ClusterSettings, Driver, Endpoint, HOST_NETWORKS, IpamConfig, Network, NetworkId, NetworkSpec, Subnet,
    Vni, overlaps,
};

/// A network that may be made, and where the searches go on after it.
pub struct Plan {
    network: Network,
    cursors: Cursors,
}

pub fn create(step: &mut Step<'_>, create: &CreateNetwork) -> Result<Reply, Refusal> {
    let Some(cluster) = step.state.tables.cluster.clone() else { return Err(Refusal::NoCluster) };
    let plan = plan(step, &cluster.settings, create)?;
    Ok(commit(step, plan, false))
}

/// Checks and allocates; changes nothing.
pub fn plan(step: &Step<'_>, settings: &ClusterSettings, create: &CreateNetwork) -> Result<Plan, Refusal> {
    let spec = &create.spec;
    spec.check().map_err(|e| Refusal::Invalid(e.to_string()))?;
    size::check_object("the network", size::of_network(spec))?;
    check_place(step, create.id, spec)?;
    let mut cursors = step.state.tables.cursors.clone();
    let vni = choose_vni(step, spec.vni, &mut cursors)?;
    let mut chosen = Chosen { step, settings, avoid: &create.avoid, cursors, nets: Vec::new() };
    let subnets = chosen.subnets(spec)?;
    let cursors = chosen.cursors;
    let created_ms = step.wall_ms;
    let network = Network { id: create.id, spec: spec.clone(), vni, subnets, predefined: false, created_ms };
    Ok(Plan { network, cursors })
}

pub fn commit(step: &mut Step<'_>, Plan { network, cursors }: Plan, predefined: bool) -> Reply {
    step.state.tables.cursors = cursors;
    let network = Network { predefined, ..network };
    Reply::Network(step.state.insert_network(network, &mut step.events))
}

fn check_place(step: &Step<'_>, id: NetworkId, spec: &NetworkSpec) -> Result<(), Refusal> {
    let tables = &step.state.tables;
    if tables.networks.contains_key(&id) {
        return Err(Refusal::NetworkExists(id));
    }
    if HOST_NETWORKS.contains(&spec.name.key().as_str()) {
        return Err(Refusal::NetworkNameReserved(spec.name.clone()));
    }
    if let Some(id) = step.state.indices.network_names.get(&spec.name) {
        return Err(Refusal::NetworkNameTaken { name: spec.name.clone(), id: *id });
    }
    if tables.networks.len() >= MAX_NETWORKS {
        return Err(Refusal::Limit { what: "networks".into(), limit: MAX_NETWORKS });
    }
    match spec.driver {
        Driver::Overlay => Ok(()),
        Driver::Bridge | Driver::Macvlan => Err(Refusal::DriverNotOfCluster(spec.driver)),
    }
}

fn choose_vni(step: &Step<'_>, asked: Option<Vni>, cursors: &mut Cursors) -> Result<Vni, Refusal> {
    let used = &step.state.indices.vnis;
    let Some(vni) = asked else {
        let (vni, next) = next_vni(cursors.vni, used).ok_or(Refusal::VnisExhausted)?;
        cursors.vni = next;
        return Ok(vni);
    };
    match used.get(&vni) {
        Some(holder) => Err(Refusal::VniTaken { vni, network: step.network_name(*holder) }),
        None => Ok(vni),
    }
}

/// The subnets of one network, chosen one after the other.
struct Chosen<'a> {
    step: &'a Step<'a>,
    settings: &'a ClusterSettings,
    avoid: &'a [IpNet],
    cursors: Cursors,
    /// Chosen so far, those given by the user first.
    nets: Vec<IpNet>,
}

impl Chosen<'_> {
    /// Those asked for in their order; then, where a family has none, one of the pools.
    fn subnets(&mut self, spec: &NetworkSpec) -> Result<Vec<Subnet>, Refusal> {
        for net in spec.ipam.iter().filter_map(|config| config.subnet) {
            self.check_given(net)?;
            self.nets.push(net);
        }
        let mut subnets = Vec::new();
        for config in &spec.ipam {
            let net = config.subnet.map_or_else(|| self.take_from_pool(true), Ok)?;
            subnets.push(subnet(net, config)?);
        }
        for ipv4 in [true, false] {
            let has = subnets.iter().any(|subnet| subnet.cidr.addr().is_ipv4() == ipv4);
            if !has && (ipv4 || spec.ipv6) {
                subnets.push(subnet(self.take_from_pool(ipv4)?, &IpamConfig::default())?);
            }
        }
        Ok(subnets)
    }

    /// A subnet given by the user may lie in a default pool, which then passes it over; it must not share an
    /// address with another network or with a route of the host it was asked for on.
    fn check_given(&self, net: IpNet) -> Result<(), Refusal> {
        if let Some((other, holder)) = self.step.state.indices.overlapping(&net) {
            let network = self.step.network_name(holder);
            return Err(Refusal::SubnetOverlap { subnet: net, other, network });
        }
        match self.avoid.iter().find(|route| route.prefix_len() > 0 && overlaps(route, &net)) {
            Some(route) => Err(Refusal::SubnetOverlapsRoute { subnet: net, route: *route }),
            None => Ok(()),
        }
    }

    fn take_from_pool(&mut self, ipv4: bool) -> Result<IpNet, Refusal> {
        let indices = &self.step.state.indices;
        let clear_of = (self.nets.as_slice(), self.avoid);
        let net = if ipv4 {
            let (net, next) = next_ipv4(self.settings, self.cursors.ipv4_block, indices, clear_of)?;
            self.cursors.ipv4_block = next;
            net
        } else {
            let (net, next) = next_ipv6(self.settings, self.cursors.ipv6_block, indices, clear_of)?;
            self.cursors.ipv6_block = next;
            net
        };
        self.nets.push(net);
        Ok(net)
    }
}

fn subnet(cidr: IpNet, config: &IpamConfig) -> Result<Subnet, Refusal> {
    let aux_addresses = config.aux_addresses.clone();
    let gateway = config.gateway.or_else(|| default_gateway(&cidr, &aux_addresses));
    let gateway = gateway.ok_or(Refusal::NoGateway(cidr))?;
    Ok(Subnet { cidr, gateway, ip_range: config.ip_range, aux_addresses })
}

pub fn remove(step: &mut Step<'_>, id: NetworkId) -> Result<Reply, Refusal> {
    let network = step.state.network(&id).ok_or_else(|| Refusal::NetworkNotFound(id.to_string()))?;
    let name = network.name().clone();
    if network.predefined {
        return Err(Refusal::NetworkPredefined(name));
    }
    let mut users: Vec<User> = step.state.endpoints_on(&id).map(|endpoint| user(step, endpoint)).collect();
    if !users.is_empty() {
        users.sort_by(|one, other| one.endpoint.cmp(&other.endpoint));
        let more = users.len().saturating_sub(MAX_USERS_NAMED);
        users.truncate(MAX_USERS_NAMED);
        return Err(Refusal::NetworkInUse { network: name, users, more });
    }
    step.state.remove_network(id, &mut step.events);
    Ok(Reply::Removed { network: id, name })
}

fn user(step: &Step<'_>, endpoint: &Endpoint) -> User {
    User { endpoint: endpoint.name.clone(), host: step.host(endpoint.node) }
}

pub fn prune(step: &mut Step<'_>) -> Reply {
    let state = &mut step.state;
    let unused =
        |network: &&Network| !network.predefined && !state.indices.presence.contains_key(&network.id);
    let pruned: Vec<_> = state.networks().filter(unused).map(|n| (n.id, n.name().clone())).collect();
    for (id, _) in &pruned {
        state.remove_network(*id, &mut step.events);
    }
    let mut names: Vec<_> = pruned.into_iter().map(|(_, name)| name).collect();
    names.sort();
    Reply::Pruned(names)
}
