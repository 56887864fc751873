//! What this host should look like. Knows: how an assignment and the local sandboxes become bridges, ports
//! and entries. Must not know: what the kernel holds.

use crate::esp::Guard;
use crate::gateway;
use crate::mtu::{Wish, overlay_mtu};
use crate::names::{GATEWAY_IFNAME, OverlayNs, PortName};
use crate::{
    Bridge, FdbEntry, Inside, NetnsPath, Port, PortLink, Route, Rules, Scope, Segment, Vxlan, WayOut,
};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use swarm_model::{
    Assigned, DnsName, Endpoint, EndpointId, MacAddr, Network, NetworkId, NodeId, Peer, SandboxId, Vni,
    mac_for_ip,
};

/// What the worker knows of one sandbox beyond the assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSandbox {
    pub id: SandboxId,
    /// Path of its network namespace's nsfs file. Two sandboxes never share a namespace.
    pub netns: NetnsPath,
    /// Name of the interface of each of its endpoints. An endpoint that stands here but not in the assignment
    /// (not yet, or not any more) is not programmed; one assigned to this node that stands nowhere here is
    /// not either.
    pub interfaces: BTreeMap<EndpointId, Arc<str>>,
    /// Its address on the gateway bridge, as [`gateway::choose`] gave it when the sandbox was made, kept by
    /// the worker so that it survives a restart. `None` or one outside the gateway's subnet: chosen by
    /// `derive`.
    pub gateway: Option<Ipv4Addr>,
}

/// What the host itself says. Read again whenever the host's links or routes change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    pub node: NodeId,
    /// Outer source address of everything we send, the VTEP of this host.
    pub data_path_addr: IpAddr,
    /// Bytes a packet from `data_path_addr` may have.
    pub underlay_mtu: u32,
    /// MTU of the way to the outside (the default route's link).
    pub outside_mtu: u32,
    /// What this kernel lacks for encrypted networks, as a sentence; `None` when it has all.
    pub lacks_esp: Option<Arc<str>>,
    /// The gateway bridge's address and subnet; `None` when no candidate is free, and then nobody gets out.
    pub gateway: Option<Ipv4Net>,
}

/// What this host should look like, place by place. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    pub segments: BTreeMap<Scope, Arc<Segment>>,
    /// Names of the networks, for messages.
    pub names: BTreeMap<OverlayNs, DnsName>,
    /// In which places a sandbox has ports.
    pub places: BTreeMap<SandboxId, BTreeSet<(Scope, PortName)>>,
}

impl Desired {
    /// A host that is to carry nothing of ours.
    pub fn nothing() -> Self {
        Self::default()
    }

    pub fn derive(assigned: &Assigned, sandboxes: &[LocalSandbox], facts: &HostFacts) -> Self {
        let local = local_endpoints(assigned, sandboxes, facts.node);
        let mut remote = remote_endpoints(assigned, facts.node, &local);
        let mut desired = Self::default();
        for (id, locals) in &local {
            let can = |n: &&Network| !n.spec.encrypted || facts.lacks_esp.is_none();
            if let Some(network) = assigned.networks.get(id).filter(can) {
                let remote = remote.remove(id).unwrap_or_default();
                desired.add_overlay(network, locals, &Context { assigned, facts, remote });
            }
        }
        let guard = desired.guard(assigned, facts).map(Arc::new);
        if let Some(uplink) = facts.gateway {
            let data_path_port = assigned.defaults.data_path_port;
            let way_out = WayOut { uplink, vtep: facts.data_path_addr, data_path_port };
            desired.add_gateway(way_out, sandboxes, &outgoing(assigned, &local), facts);
        }
        desired.put_guard(guard);
        desired
    }

    /// What the VXLAN devices of all networks here need beside them.
    fn guard(&self, assigned: &Assigned, facts: &HostFacts) -> Option<Guard> {
        let built: Vec<&Vxlan> =
            self.segments.values().filter_map(|segment| segment.vxlan.as_ref()).collect();
        let members = |segment: &Segment| {
            let there = segment.fdb.values().filter_map(|entry| entry.vtep).collect();
            segment.vxlan.as_ref().map(|vxlan| (vxlan.vni, there))
        };
        let encrypted: BTreeSet<Vni> =
            assigned.networks.values().filter(|n| n.spec.encrypted).map(|n| n.vni).collect();
        let (encrypted, plain) = built.iter().map(|vxlan| vxlan.vni).partition(|vni| encrypted.contains(vni));
        (!built.is_empty()).then(|| Guard {
            vtep: facts.data_path_addr,
            port: assigned.defaults.data_path_port,
            plain,
            encrypted,
            members: self.segments.values().filter_map(|segment| members(segment)).collect(),
        })
    }

    /// States the guard anew; it is part of the gateway's place.
    pub fn put_guard(&mut self, guard: Option<Arc<Guard>>) {
        let held = self.segments.get(&Scope::Gateway).cloned().unwrap_or_default();
        if held.guard != guard {
            let segment = Segment { namespace: true, guard, ..Segment::clone(&held) };
            self.segments.insert(Scope::Gateway, Arc::new(segment));
        }
    }

    fn add_overlay(&mut self, network: &Network, locals: &[Local<'_>], context: &Context<'_>) {
        let ns = OverlayNs::of(network.id);
        let segment = overlay(network, locals, context);
        for local in locals {
            let port = (Scope::Overlay(ns), PortName::of_endpoint(local.endpoint.id));
            self.places.entry(local.sandbox.id).or_default().insert(port);
        }
        self.names.insert(ns, network.name().clone());
        self.segments.insert(Scope::Overlay(ns), Arc::new(segment));
    }

    fn add_gateway(
        &mut self,
        way_out: WayOut,
        sandboxes: &[LocalSandbox],
        outgoing: &BTreeSet<SandboxId>,
        facts: &HostFacts,
    ) {
        let uplink = way_out.uplink;
        let mtu = facts.outside_mtu.clamp(576, 65_535);
        let addresses = gateway::assign(uplink, sandboxes.iter().map(|s| (s.id, s.gateway)));
        let mut ports = BTreeMap::new();
        for sandbox in sandboxes.iter().filter(|s| outgoing.contains(&s.id)) {
            if let Some(address) = addresses.get(&sandbox.id) {
                let name = PortName::of_gateway(sandbox.id);
                ports.insert(name, gateway_port(&sandbox.netns, *address, uplink, mtu));
                self.places.entry(sandbox.id).or_default().insert((Scope::Gateway, name));
            }
        }
        let segment = Segment {
            namespace: true,
            bridge: Some(Bridge { mtu, up: true, address: Some(uplink), tuned: true }),
            rules: Some(Rules::of(Scope::Gateway, Some(way_out))),
            ports,
            ..Segment::default()
        };
        self.segments.insert(Scope::Gateway, Arc::new(segment));
    }

    pub fn segment(&self, scope: Scope) -> Option<&Arc<Segment>> {
        self.segments.get(&scope)
    }

    /// How a place is called in a message to people.
    pub fn title(&self, scope: Scope) -> alloc::string::String {
        match scope {
            Scope::Gateway => alloc::format!("bridge {scope}"),
            Scope::Overlay(ns) => match self.names.get(&ns) {
                Some(name) => alloc::format!("network {name} ({scope})"),
                None => alloc::format!("network {scope}"),
            },
        }
    }
}

/// What one network is built from.
struct Context<'a> {
    assigned: &'a Assigned,
    facts: &'a HostFacts,
    remote: Vec<&'a Endpoint>,
}

/// An endpoint of this node with the sandbox it is in.
struct Local<'a> {
    endpoint: &'a Endpoint,
    sandbox: &'a LocalSandbox,
    ifname: &'a Arc<str>,
}

fn local_endpoints<'a>(
    assigned: &'a Assigned,
    sandboxes: &'a [LocalSandbox],
    node: NodeId,
) -> BTreeMap<NetworkId, Vec<Local<'a>>> {
    let mut local: BTreeMap<NetworkId, Vec<Local<'a>>> = BTreeMap::new();
    for sandbox in sandboxes {
        for (id, ifname) in &sandbox.interfaces {
            if let Some(endpoint) = assigned.endpoints.get(id).filter(|e| e.node == node) {
                local.entry(endpoint.network).or_default().push(Local { endpoint, sandbox, ifname });
            }
        }
    }
    local
}

/// Endpoints of other nodes, on the networks that are built here.
fn remote_endpoints<'a>(
    assigned: &'a Assigned,
    node: NodeId,
    local: &BTreeMap<NetworkId, Vec<Local<'_>>>,
) -> BTreeMap<NetworkId, Vec<&'a Endpoint>> {
    let mut remote: BTreeMap<NetworkId, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in assigned.endpoints.values().filter(|e| e.node != node && local.contains_key(&e.network)) {
        remote.entry(endpoint.network).or_default().push(endpoint);
    }
    remote
}

/// Sandboxes with an endpoint on a network that leads outside.
fn outgoing(assigned: &Assigned, local: &BTreeMap<NetworkId, Vec<Local<'_>>>) -> BTreeSet<SandboxId> {
    let leads_outside = |id: &NetworkId| assigned.networks.get(id).is_some_and(|n| !n.spec.internal);
    local
        .iter()
        .filter(|(id, _)| leads_outside(id))
        .flat_map(|(_, l)| l.iter().map(|l| l.sandbox.id))
        .collect()
}

fn overlay(network: &Network, locals: &[Local<'_>], context: &Context<'_>) -> Segment {
    let (facts, defaults) = (context.facts, &context.assigned.defaults);
    let mtu = overlay_mtu(facts.underlay_mtu, facts.data_path_addr, Wish::of(&network.spec));
    let vxlan = Vxlan {
        vni: network.vni,
        port: defaults.data_path_port,
        local: facts.data_path_addr,
        nolearning: true,
        mtu,
        up: true,
        guarded: true,
    };
    let mut segment = Segment {
        namespace: true,
        bridge: Some(Bridge { mtu, up: true, address: None, tuned: true }),
        vxlan: Some(vxlan),
        rules: Some(Rules::of(Scope::Overlay(OverlayNs::of(network.id)), None)),
        ..Segment::default()
    };
    for local in locals {
        segment.ports.insert(PortName::of_endpoint(local.endpoint.id), overlay_port(local, network, mtu));
    }
    add_remote(&mut segment, context);
    segment
}

/// Entries for endpoints of other nodes. One whose node is not known (yet), or cannot be sent to from here, is left out:
/// it would keep all the others from being programmed.
fn add_remote(segment: &mut Segment, context: &Context<'_>) {
    let peers = &context.assigned.peers;
    let local = context.facts.data_path_addr;
    let peer = |node| peers.get(node).filter(|peer| can_send(local, peer.data_path_addr));
    let reachable = || context.remote.iter().filter_map(|e| Some((e, peer(&e.node)?.data_path_addr)));
    let entry = |vtep| FdbEntry { vtep: Some(vtep), bridged: true };
    // Collected, not inserted one by one: these are the two large tables.
    segment.fdb = reachable().map(|(e, vtep)| (e.mac, entry(vtep))).collect();
    segment.neighbours = reachable().flat_map(|(e, _)| e.ips().map(|ip| (ip, e.mac))).collect();
}

/// Whether VXLAN that leaves from `local` can have this address as its destination.
fn can_send(local: IpAddr, to: IpAddr) -> bool {
    let is_broadcast = matches!(to, IpAddr::V4(v4) if v4.is_broadcast());
    let is_host = !to.is_unspecified() && !to.is_multicast() && !is_broadcast;
    is_host && local.is_ipv4() == to.is_ipv4()
}

/// Nodes with endpoints that this host would send to, and cannot.
pub fn out_of_reach<'a>(assigned: &'a Assigned, facts: &HostFacts) -> Vec<&'a Peer> {
    let has_endpoints: BTreeSet<NodeId> = assigned.endpoints.values().map(|e| e.node).collect();
    let others = assigned.peers.values().filter(|peer| peer.node != facts.node);
    others
        .filter(|peer| {
            has_endpoints.contains(&peer.node) && !can_send(facts.data_path_addr, peer.data_path_addr)
        })
        .collect()
}

fn overlay_port(local: &Local<'_>, network: &Network, mtu: u32) -> Port {
    let endpoint = local.endpoint;
    let mut addresses: BTreeSet<IpNet> = endpoint.addresses.iter().copied().collect();
    if endpoint.ips().any(|ip| ip.is_ipv6()) {
        addresses.extend(Ipv6Net::new(link_local(endpoint.mac), 64).map(IpNet::V6));
    }
    let family = |net: &IpNet| addresses.iter().any(|a| a.addr().is_ipv4() == net.addr().is_ipv4());
    let subnets = network.subnets.iter().map(|s| s.cidr).filter(family);
    let on_link = addresses.iter().map(IpNet::trunc).chain(subnets);
    Port {
        routes: on_link.map(|to| Route { via: None, to }).collect(),
        allowed: addresses.iter().map(IpNet::addr).collect(),
        link: PortLink {
            inside: Inside { sandbox: local.sandbox.netns.clone(), ifname: local.ifname.clone() },
            mac: endpoint.mac,
            mtu,
            host_mtu: mtu,
            plugged: true,
            up: true,
            isolated: false,
        },
        addresses,
    }
}

fn gateway_port(netns: &NetnsPath, address: Ipv4Addr, uplink: Ipv4Net, mtu: u32) -> Port {
    let own = Ipv4Net::new(address, uplink.prefix_len()).map(IpNet::V4);
    let everywhere = IpNet::V4(Ipv4Net::default());
    Port {
        addresses: own.into_iter().collect(),
        routes: BTreeSet::from([
            Route { via: None, to: IpNet::V4(uplink.trunc()) },
            Route { via: Some(uplink.addr().into()), to: everywhere },
        ]),
        allowed: BTreeSet::from([address.into()]),
        link: PortLink {
            inside: Inside { sandbox: netns.clone(), ifname: Arc::from(GATEWAY_IFNAME) },
            mac: mac_for_ip(address.into()),
            mtu,
            host_mtu: mtu,
            plugged: true,
            up: true,
            isolated: true,
        },
    }
}

/// The link-local address of a MAC (RFC 4291, appendix A). Set by us and not by the kernel, so that it is
/// there at once and nothing is sent to find out whether somebody else has it.
fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0.map(u16::from);
    Ipv6Addr::new(0xfe80, 0, 0, 0, ((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f)
}
