//! From an assignment to what the host should look like, and what a change of it costs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use swarm_model::*;
use swarm_overlay::Scope;
use swarm_overlay::*;

fn id<K>(kind: u8, number: u16) -> Id<K> {
    let mut bytes = [kind; 16];
    bytes[..2].copy_from_slice(&number.wrapping_mul(40_503).to_be_bytes());
    bytes[2..4].copy_from_slice(&number.to_be_bytes());
    Id::from_random(bytes)
}

struct Cluster {
    assigned: Assigned,
    sandboxes: Vec<LocalSandbox>,
    facts: HostFacts,
}

/// Node 1 is this host; the network 1 is 10.0.1.0/24 with 10.0.2.0/24 as a further subnet.
fn cluster() -> Cluster {
    let mut assigned = Assigned {
        defaults: DriverDefaults { data_path_port: 4789, heartbeat_ms: 1, ..DriverDefaults::default() },
        ..Assigned::default()
    };
    for number in 1..4u16 {
        let addr = IpAddr::from([192, 0, 2, u8::try_from(number).expect("small")]);
        let peer = Peer { node: id(1, number), hostname: format!("h{number}"), data_path_addr: addr };
        assigned.peers.insert(peer.node, peer);
    }
    let facts = HostFacts {
        node: id(1, 1),
        data_path_addr: IpAddr::from([192, 0, 2, 1]),
        underlay_mtu: 1500,
        outside_mtu: 1500,
        lacks_esp: None,
        gateway: Some("172.18.0.1/16".parse().expect("a subnet")),
    };
    let mut cluster = Cluster { assigned, sandboxes: Vec::new(), facts };
    cluster.network(1, &["10.0.1.0/24", "10.0.2.0/24"], false);
    cluster
}

impl Cluster {
    fn network(&mut self, number: u16, subnets: &[&str], internal: bool) {
        let subnet = |cidr: &&str| {
            let cidr: ipnet::IpNet = cidr.parse().expect("a subnet");
            Subnet { cidr, gateway: cidr.addr(), ip_range: None, aux_addresses: BTreeMap::new() }
        };
        let spec = NetworkSpec {
            name: format!("net{number}").parse().expect("a name"),
            driver: Driver::Overlay,
            attachable: true,
            internal,
            ipv6: subnets.iter().any(|s| s.contains(':')),
            encrypted: false,
            mtu: None,
            vni: None,
            ipam: Vec::new(),
            options: BTreeMap::new(),
            labels: Labels::default(),
        };
        let vni = Vni::new(4096 + u32::from(number)).expect("a VNI");
        let subnets = subnets.iter().map(subnet).collect();
        let network = Network { id: id(2, number), spec, vni, subnets, predefined: false, created_ms: 0 };
        self.assigned.networks.insert(network.id, network);
    }

    fn endpoint(&mut self, number: u16, network: u16, node: u16, addresses: &[&str]) -> EndpointId {
        let addresses: Vec<ipnet::IpNet> = addresses.iter().map(|a| a.parse().expect("an address")).collect();
        let endpoint = Endpoint {
            id: id(4, number),
            network: id(2, network),
            node: id(1, node),
            sandbox: id(3, number),
            name: format!("e{number}").parse().expect("a name"),
            aliases: Vec::new(),
            mac: mac_for_ip(addresses[0].addr()),
            addresses,
            created_ms: 0,
        };
        let id = endpoint.id;
        self.assigned.endpoints.insert(id, endpoint);
        id
    }

    fn local(&mut self, number: u16, network: u16, addresses: &[&str]) {
        let endpoint = self.endpoint(number, network, 1, addresses);
        self.sandboxes.push(LocalSandbox {
            id: id(3, number),
            netns: format!("/run/sb-{number}").into(),
            interfaces: BTreeMap::from([(endpoint, Arc::from("eth0"))]),
            gateway: None,
        });
    }

    fn desired(&self) -> Desired {
        Desired::derive(&self.assigned, &self.sandboxes, &self.facts)
    }

    fn overlay(&self, network: u16) -> Arc<Segment> {
        self.desired().segments[&Scope::Overlay(OverlayNs::of(id(2, network)))].clone()
    }
}

#[test]
fn a_change_of_one_remote_endpoint_is_two_messages() {
    let mut cluster = cluster();
    cluster.local(1, 1, &["10.0.1.2/24"]);
    for n in 10..200u16 {
        cluster.endpoint(n, 1, 2, &[&format!("10.0.1.{n}/24")]);
    }
    let before = cluster.desired();
    cluster.endpoint(500, 1, 2, &["10.0.1.250/24"]);
    let after = cluster.desired();
    let commands = |ops: Vec<Op>| ops.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ns = OverlayNs::of(id(2, 1));
    assert_eq!(
        commands(delta(&before, &after)),
        [
            format!(
                "bridge -n {ns} fdb replace 02:42:0a:00:01:fa dev vxlan0 self master static dst 192.0.2.2"
            ),
            format!("ip -n {ns} neighbour replace 10.0.1.250 lladdr 02:42:0a:00:01:fa dev br0 nud permanent"),
        ]
    );
    assert_eq!(delta(&after, &before).len(), 2);
    // It moves to another node: its MAC and address stay.
    let mut moved = cluster.assigned.endpoints[&id(4, 500)].clone();
    moved.node = id(1, 3);
    cluster.assigned.endpoints.insert(moved.id, moved);
    // The other is a member from then on.
    let ops = delta(&after, &cluster.desired());
    assert!(
        matches!(ops.as_slice(), [Op { act: Act::LoadGuard(_), .. }, Op { act: Act::PutFdb(..), .. }]),
        "{ops:?}"
    );
}

#[test]
fn only_networks_with_a_local_sandbox_are_built() {
    let mut cluster = cluster();
    cluster.network(2, &["10.0.3.0/24"], false);
    cluster.endpoint(9, 2, 2, &["10.0.3.2/24"]);
    cluster.local(1, 1, &["10.0.1.2/24"]);
    // Assigned to this node, but no sandbox here knows of it.
    cluster.endpoint(8, 2, 1, &["10.0.3.3/24"]);
    let scopes: Vec<Scope> = cluster.desired().segments.into_keys().collect();
    assert_eq!(scopes, [Scope::Gateway, Scope::Overlay(OverlayNs::of(id(2, 1)))]);
}

#[test]
fn a_port_has_its_addresses_and_the_further_subnets() {
    let mut cluster = cluster();
    cluster.local(1, 1, &["10.0.1.2/24"]);
    let port = cluster.overlay(1).ports[&PortName::of_endpoint(id(4, 1))].clone();
    let routes: Vec<_> = port.routes.iter().map(|r| (r.to.to_string(), r.via)).collect();
    assert_eq!(routes, [("10.0.1.0/24".into(), None), ("10.0.2.0/24".into(), None)]);
    assert_eq!(port.allowed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.1.2"]);
    assert_eq!((port.link.mtu, port.link.host_mtu), (1450, 1450));
}

#[test]
fn ipv6_brings_a_link_local_address_of_our_making() {
    let mut cluster = cluster();
    cluster.network(3, &["10.0.9.0/24", "fd00:9::/64"], false);
    cluster.local(1, 3, &["10.0.9.2/24", "fd00:9::2/64"]);
    let port = cluster.overlay(3).ports[&PortName::of_endpoint(id(4, 1))].clone();
    let addresses: Vec<String> = port.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.9.2/24", "fd00:9::2/64", "fe80::42:aff:fe00:902/64"]);
    assert_eq!(port.allowed.len(), 3);
    let routes: Vec<String> = port.routes.iter().map(|r| r.to.to_string()).collect();
    assert_eq!(routes, ["10.0.9.0/24", "fd00:9::/64", "fe80::/64"], "one for each address");
}

#[test]
fn only_sandboxes_that_may_leave_are_on_the_gateway() {
    let mut cluster = cluster();
    cluster.network(4, &["10.0.4.0/24"], true);
    cluster.local(1, 1, &["10.0.1.2/24"]);
    cluster.local(2, 4, &["10.0.4.2/24"]);
    let gateway = cluster.desired().segments[&Scope::Gateway].clone();
    assert_eq!(gateway.ports.keys().copied().collect::<Vec<_>>(), [PortName::of_gateway(id(3, 1))]);
    assert!(gateway.ports.values().all(|p| p.link.isolated));
    let ways = gateway.ports.values().flat_map(|p| &p.routes).map(|r| (r.via, r.to.to_string()));
    let (link, out) = ((None, "172.18.0.0/16".into()), (Some([172, 18, 0, 1].into()), "0.0.0.0/0".into()));
    assert_eq!(ways.collect::<Vec<_>>(), [link, out], "in the order the kernel takes them");
    cluster.facts.gateway = None;
    let gateway = cluster.desired().segments[&Scope::Gateway].clone();
    let way_out = gateway.bridge.is_some() || !gateway.ports.is_empty() || gateway.rules.is_some();
    assert!(!way_out && gateway.guard.is_some(), "without a subnet nobody gets out");
}

#[test]
fn gateway_addresses_are_kept_and_never_shared() {
    let uplink = "172.18.0.1/29".parse().expect("a subnet");
    let held: Ipv4Addr = [172, 18, 0, 3].into();
    // Five addresses are left in a /29 beside the gateway's own; two ask for the same one, one for a foreign
    // one.
    let sandboxes: Vec<(SandboxId, Option<Ipv4Addr>)> = (0..5u16)
        .map(|n| (id(3, n), [Some(held), Some(held), Some([10, 0, 0, 1].into()), None, None][usize::from(n)]))
        .collect();
    let given = gateway::assign(uplink, sandboxes.iter().copied());
    let distinct: std::collections::BTreeSet<_> = given.values().collect();
    assert_eq!(distinct.len(), 5);
    assert_eq!(given[&id(3, 0)], held);
    assert!(given.values().all(|a| uplink.contains(a) && *a != uplink.addr()));
    let again = gateway::assign(uplink, given.iter().map(|(id, a)| (*id, Some(*a))));
    assert_eq!(again, given, "what was given is kept");
    let sixth = gateway::choose(uplink, id(3, 99), &given.values().copied().chain([uplink.addr()]).collect());
    assert_eq!(sixth, None, "the subnet is full");
}

#[test]
fn the_gateway_subnet_gives_way_to_the_host() {
    let net = |s: &str| s.parse().expect("a subnet");
    assert_eq!(gateway::choose_subnet(None, &[]), Some(net("172.18.0.1/16")));
    let taken = ["172.18.0.0/16", "172.19.4.0/24"].map(|s| s.parse().expect("a subnet"));
    assert_eq!(gateway::choose_subnet(None, &taken), Some(net("172.20.0.1/16")));
    assert_eq!(
        gateway::choose_subnet(Some(net("172.19.0.1/16")), &taken),
        Some(net("172.19.0.1/16")),
        "kept"
    );
    let all = ["172.16.0.0/12"].map(|s| s.parse().expect("a subnet"));
    assert_eq!(gateway::choose_subnet(None, &all), None);
}

/// Damage contradicts; the echo of our own steps does not.
#[test]
fn events_are_judged_by_what_is_desired() {
    let mut cluster = cluster();
    cluster.local(1, 1, &["10.0.1.2/24"]);
    cluster.endpoint(2, 1, 2, &["10.0.1.3/24"]);
    let want = cluster.overlay(1);
    let port = PortName::of_endpoint(id(4, 1));
    let (mac, ip) = (mac_for_ip([10, 0, 1, 3].into()), IpAddr::from([10, 0, 1, 3]));
    let vtep = Some(IpAddr::from([192, 0, 2, 2]));
    let address: ipnet::IpNet = "10.0.1.2/24".parse().expect("an address");
    let element = Allowed { port, mac: mac_for_ip(address.addr()), ip: address.addr() };
    let stranger = MacAddr([2, 0, 0, 0, 0, 9]);
    let confirming = [
        Event::Bridge { mtu: 1450, up: true },
        Event::Vxlan { mtu: 1450, up: true, on_bridge: true },
        Event::Port { port, mtu: 1450, up: true, on_bridge: true },
        Event::Address { port, address, gone: false },
        Event::Fdb { mac, vtep, gone: false },
        Event::Fdb { mac: stranger, vtep, gone: true },
        Event::BridgeFdb { mac, remote: true, gone: false },
        Event::Neighbour { ip, mac: Some(mac), permanent: true, gone: false },
        Event::Neighbour { ip: [10, 0, 1, 9].into(), mac: None, permanent: false, gone: false },
        Event::Element { element, gone: false },
        Event::PortGone(PortName::of_endpoint(id(4, 77))),
        Event::Loopback { up: true },
    ];
    let contradicting = [
        Event::Lost,
        Event::Rules,
        Event::BridgeGone,
        Event::VxlanGone,
        Event::PortGone(port),
        Event::InsideGone(port),
        Event::Bridge { mtu: 1450, up: false },
        Event::Port { port, mtu: 1450, up: true, on_bridge: false },
        Event::Address { port, address, gone: true },
        Event::Address { port, address: "10.9.9.9/24".parse().expect("an address"), gone: false },
        Event::Fdb { mac, vtep: Some([192, 0, 2, 3].into()), gone: false },
        Event::Fdb { mac, vtep, gone: true },
        Event::Fdb { mac: stranger, vtep, gone: false },
        Event::BridgeFdb { mac, remote: false, gone: false },
        Event::Neighbour { ip, mac: Some(stranger), permanent: true, gone: false },
        Event::Neighbour { ip, mac: Some(mac), permanent: true, gone: true },
        Event::Element { element, gone: true },
        Event::Element { element: Allowed { mac: stranger, ..element }, gone: false },
        Event::Loopback { up: false },
    ];
    for event in confirming {
        assert!(!contradicts(&event, &want), "{event:?} is as it should be");
    }
    for event in contradicting {
        assert!(contradicts(&event, &want), "{event:?} has to be looked at");
    }
}

/// A node that says it is somewhere this host cannot send to costs itself its traffic, and nobody else.
#[test]
fn a_peer_of_another_family_or_no_host_at_all_is_left_out_and_told() {
    for odd in ["fe80::1", "fd00::3", "224.0.0.1", "0.0.0.0", "255.255.255.255"] {
        let mut cluster = cluster();
        cluster.local(1, 1, &["10.0.1.2/24"]);
        cluster.endpoint(2, 1, 2, &["10.0.1.3/24"]);
        cluster.endpoint(3, 1, 3, &["10.0.1.4/24"]);
        cluster.assigned.peers.get_mut(&id(1, 3)).expect("known").data_path_addr =
            odd.parse().expect("an address");
        let desired = Desired::derive(&cluster.assigned, &cluster.sandboxes, &cluster.facts);
        let overlays = desired.segments.iter().filter(|(scope, _)| matches!(scope, Scope::Overlay(_)));
        let vteps: Vec<_> =
            overlays.flat_map(|(_, s)| s.fdb.values().filter_map(|entry| entry.vtep)).collect();
        assert_eq!(vteps, [IpAddr::from([192, 0, 2, 2])], "{odd}");
        let told: Vec<_> =
            out_of_reach(&cluster.assigned, &cluster.facts).iter().map(|peer| peer.node).collect();
        assert_eq!(told, [id(1, 3)], "{odd}");
    }
}
