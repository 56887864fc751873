//! Whatever the kernel holds and whatever is desired: the steps lead there, and then there is nothing left to
//! do.

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use swarm_model::{Id, MacAddr, Vni};
use swarm_overlay::*;

fn scopes() -> [Scope; 3] {
    let overlay = |n| Scope::Overlay(OverlayNs::of(Id::from_random([n; 16])));
    [Scope::Gateway, overlay(1), overlay(200)]
}

fn mac() -> impl Strategy<Value = MacAddr> {
    (1u8..6).prop_map(|n| MacAddr([2, 0x42, 10, 0, 0, n]))
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (1u8..6).prop_map(|n| IpAddr::from([10, 0, 0, n])),
        (1u16..4).prop_map(|n| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n])),
    ]
}

fn net() -> impl Strategy<Value = ipnet::IpNet> {
    ip().prop_map(|ip| ipnet::IpNet::new(ip, if ip.is_ipv4() { 24 } else { 64 }).expect("a prefix"))
}

fn port_name() -> impl Strategy<Value = PortName> {
    (1u8..5).prop_map(|n| PortName::of_endpoint(Id::from_random([n; 16])))
}

fn link(right: bool) -> impl Strategy<Value = PortLink> {
    let yes = move || if right { Just(true).boxed() } else { any::<bool>().boxed() };
    let sandbox = if right { 1u8..3 } else { 0u8..3 };
    ((sandbox, 0u8..3), mac(), (0u32..2, 0u32..2), (yes(), yes(), yes())).prop_map(
        |((s, i), mac, mtus, flags)| {
            let sandbox: Arc<str> = if s == 0 { Arc::from("") } else { format!("/run/sb-{s}").into() };
            PortLink {
                inside: Inside { sandbox, ifname: format!("eth{i}").into() },
                mac,
                mtu: 1450 + mtus.0,
                host_mtu: 1450 + mtus.1,
                plugged: flags.0,
                up: flags.1,
                isolated: flags.2,
            }
        },
    )
}

fn port(right: bool) -> impl Strategy<Value = Port> {
    let route = (net(), proptest::option::of(ip())).prop_map(|(to, via)| Route { to: to.trunc(), via });
    let one_way = |all: std::collections::BTreeSet<Route>| {
        let by_target: BTreeMap<_, _> = all.into_iter().map(|r| (r.to, r)).collect();
        by_target.into_values().collect()
    };
    (link(right), btree_set(net(), 0..3), btree_set(route, 0..3).prop_map(one_way), btree_set(ip(), 0..3))
        .prop_map(|(link, addresses, routes, allowed)| Port { link, addresses, routes, allowed })
}

fn vxlan() -> impl Strategy<Value = Vxlan> {
    (1u32..3, 0u8..2, 0u32..2, any::<(bool, bool, bool)>()).prop_map(|(vni, local, mtu, flags)| Vxlan {
        vni: Vni::new(vni).expect("a VNI"),
        port: 4789,
        local: IpAddr::from([192, 0, 2, local]),
        nolearning: flags.0,
        mtu: 1450 + mtu,
        up: flags.1,
        guarded: flags.2,
    })
}

fn bridge() -> impl Strategy<Value = Bridge> {
    (0u32..2, any::<(bool, bool)>(), any::<bool>()).prop_map(|(mtu, (up, tuned), gateway)| Bridge {
        mtu: 1450 + mtu,
        up,
        tuned,
        address: gateway.then(|| "172.18.0.1/16".parse().expect("a subnet")),
    })
}

/// Anything a kernel can hold.
fn seen() -> impl Strategy<Value = Segment> {
    let fdb = (proptest::option::of(ip()), any::<bool>())
        .prop_filter("in neither table", |(vtep, bridged)| vtep.is_some() || *bridged)
        .prop_map(|(vtep, bridged)| FdbEntry { vtep, bridged });
    let stray = (port_name(), mac(), ip()).prop_map(|(port, mac, ip)| Allowed { port, mac, ip });
    (
        any::<bool>(),
        proptest::option::of(bridge()),
        proptest::option::of(vxlan()),
        proptest::option::of(any::<u32>().prop_map(|of| Rules { way_out: None, digest: RulesDigest(of) })),
        btree_map(port_name(), port(false), 0..4),
        (btree_set(stray, 0..3), btree_map(mac(), fdb, 0..4), btree_map(ip(), mac(), 0..4)),
    )
        .prop_map(|(namespace, bridge, vxlan, rules, ports, (strays, fdb, neighbours))| {
            // A guard that is not as it should be.
            let guard = (neighbours.len() > 2).then(|| Arc::new(esp::Guard::wrong()));
            possible(Segment { namespace, bridge, vxlan, rules, ports, strays, fdb, guard, neighbours })
        })
}

/// Takes away what cannot be there without something else.
fn possible(mut segment: Segment) -> Segment {
    if !segment.namespace {
        return Segment::default();
    }
    if segment.bridge.is_none() {
        segment.neighbours.clear();
        segment.fdb.values_mut().for_each(|entry| entry.bridged = false);
        segment.vxlan.iter_mut().for_each(|vxlan| vxlan.guarded = false);
        segment.ports.values_mut().for_each(|port| port.link.plugged = false);
    }
    if segment.vxlan.is_none() {
        segment.fdb.clear();
    }
    if segment.rules.is_none() {
        segment.strays.clear();
        segment.ports.values_mut().for_each(|port| port.allowed.clear());
    }
    segment.fdb.retain(|_, entry| entry.vtep.is_some() || entry.bridged);
    let of_port = |a: &Allowed| segment.ports.get(&a.port).is_some_and(|p| p.link.mac == a.mac);
    segment.strays = segment.strays.iter().filter(|a| !of_port(a)).copied().collect();
    segment
}

/// Anything that can be desired of a place.
fn wanted(scope: Scope) -> impl Strategy<Value = Segment> {
    let entries = (btree_map(mac(), ip(), 0..4), btree_map(ip(), mac(), 0..4));
    (bridge(), vxlan(), btree_map(port_name(), port(true), 0..4), entries, 4789u16..4791).prop_map(
        move |(bridge, vxlan, ports, (fdb, neighbours), data_path_port)| {
            let gateway = scope == Scope::Gateway;
            let address = bridge.address.filter(|_| gateway);
            let way_out = address.map(|uplink| WayOut { uplink, vtep: vxlan.local, data_path_port });
            let bridged = |(mac, vtep)| (mac, FdbEntry { vtep: Some(vtep), bridged: true });
            Segment {
                namespace: true,
                rules: Some(Rules::of(scope, way_out)),
                bridge: Some(Bridge { up: true, tuned: true, address, ..bridge }),
                vxlan: (!gateway).then_some(Vxlan { nolearning: true, up: true, guarded: true, ..vxlan }),
                ports,
                guard: (gateway && fdb.len() > 1)
                    .then(|| Arc::new(esp::Guard { port: data_path_port, ..esp::Guard::wrong() })),
                strays: std::collections::BTreeSet::new(),
                fdb: if gateway { BTreeMap::new() } else { fdb.into_iter().map(bridged).collect() },
                neighbours: if gateway { BTreeMap::new() } else { neighbours },
            }
        },
    )
}

fn observed() -> impl Strategy<Value = Observed> {
    [seen(), seen(), seen()].prop_map(|segments| Observed {
        segments: scopes().into_iter().zip(segments).filter(|(_, s)| *s != Segment::default()).collect(),
    })
}

fn desired() -> impl Strategy<Value = Desired> {
    let [a, b, c] = scopes().map(|scope| proptest::option::of(wanted(scope)));
    [a.boxed(), b.boxed(), c.boxed()].prop_map(|segments| Desired {
        segments: scopes().into_iter().zip(segments).filter_map(|(k, s)| Some((k, Arc::new(s?)))).collect(),
        ..Desired::default()
    })
}

fn run(kernel: &mut Observed, ops: &[Op]) {
    ops.iter().for_each(|op| kernel.take(op));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_steps_lead_to_what_is_desired_and_stop_there(mut kernel in observed(), desired in desired()) {
        let ops = diff(&kernel, &desired);
        run(&mut kernel, &ops);
        prop_assert_eq!(diff(&kernel, &desired), vec![], "after {:#?}", ops);
        // The gateway's namespace is the host's own and is always there.
        kernel.segments.retain(|_, segment| *segment != Segment { namespace: true, ..Segment::default() });
        prop_assert_eq!(kernel, Observed::matching(&desired));
    }

    #[test]
    fn taking_the_steps_twice_does_no_harm(mut kernel in observed(), desired in desired()) {
        let ops = diff(&kernel, &desired);
        run(&mut kernel, &ops);
        let puts = |op: &&Op| !op.act.is_removal() && !matches!(op.act, Act::AddPort(..) | Act::AddVxlan(_) | Act::AddBridge(_));
        let puts: Vec<Op> = ops.iter().filter(puts).cloned().collect();
        run(&mut kernel, &puts);
        prop_assert_eq!(diff(&kernel, &desired), vec![]);
    }

    #[test]
    fn what_is_right_is_not_touched(desired in desired()) {
        prop_assert_eq!(diff(&Observed::matching(&desired), &desired), vec![]);
    }

    #[test]
    fn a_delta_is_the_difference_without_looking(old in desired(), new in desired()) {
        let mut kernel = Observed::matching(&old);
        let ops = delta(&old, &new);
        prop_assert_eq!(&ops, &diff(&kernel, &new));
        run(&mut kernel, &ops);
        prop_assert_eq!(diff(&kernel, &new), vec![]);
    }

    #[test]
    fn nothing_is_left_of_what_nobody_wants(mut kernel in observed()) {
        let ops = diff(&kernel, &Desired::nothing());
        run(&mut kernel, &ops);
        let left = |(scope, segment): (&Scope, &Segment)| match scope {
            // The namespace of the gateway is the host's own.
            Scope::Gateway => segment.bridge.is_some() || !segment.ports.is_empty() || segment.rules.is_some(),
            Scope::Overlay(_) => *segment != Segment::default(),
        };
        prop_assert!(!kernel.segments.iter().any(left), "{kernel:#?}");
    }

    #[test]
    fn every_step_prints_a_command(kernel in observed(), desired in desired()) {
        for op in diff(&kernel, &desired) {
            let text = op.to_string();
            prop_assert!(["ip ", "bridge ", "nft "].iter().any(|c| text.starts_with(c)), "{text}");
        }
    }
}
