//! Rules for networks: pools, overlaps, VNIs, removal.

use super::build::*;
use crate::*;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use swarm_model::*;

fn cidrs(network: &Network) -> Vec<String> {
    network.subnets.iter().map(|subnet| subnet.cidr.to_string()).collect()
}

fn with_subnet(text: &str, subnet: &str) -> NetworkSpec {
    NetworkSpec { ipam: vec![ipam(subnet)], ..spec(text) }
}

fn avoiding(n: u64, spec: NetworkSpec, routes: &[&str]) -> Command {
    let avoid = routes.iter().map(|route| route.parse().unwrap()).collect();
    Command::CreateNetwork(CreateNetwork { id: id(n), spec, avoid })
}

#[test]
fn subnets_and_vnis_come_one_after_the_other() {
    let mut log = Log::new();
    let one = log.network(1, spec("one"));
    let two = log.network(2, NetworkSpec { ipv6: true, ..spec("two") });
    assert_eq!(cidrs(&one), ["10.0.1.0/24"]);
    assert_eq!(one.subnets[0].gateway, ip("10.0.1.1"));
    assert_eq!(cidrs(&two), ["10.0.2.0/24", "fd12:3456:789a::/64"]);
    assert_eq!(two.subnets[1].gateway, ip("fd12:3456:789a::1"));
    // 4096 is ingress.
    assert_eq!((one.vni.get(), two.vni.get()), (4097, 4098));
    log.ask(Command::RemoveNetwork { network: id(2) });
    let three = log.network(3, NetworkSpec { ipv6: true, ..spec("three") });
    assert_eq!(cidrs(&three), ["10.0.3.0/24", "fd12:3456:789a:1::/64"], "what was given back comes last");
    assert_eq!(three.vni.get(), 4099);
}

#[test]
fn an_explicit_subnet_may_lie_in_a_pool_which_then_passes_it_over() {
    let mut log = Log::new();
    log.network(1, with_subnet("mine", "10.0.0.128/25".replace("0.128", "1.128").as_str()));
    log.network(2, with_subnet("large", "10.3.0.0/16"));
    let auto = log.network(3, spec("auto"));
    assert_eq!(cidrs(&auto), ["10.0.2.0/24"]);
    for subnet in ["10.0.1.0/24", "10.0.1.192/26", "10.3.255.0/24", "10.0.2.0/24"] {
        let refusal = log.refused(network(9, with_subnet("nine", subnet)));
        assert!(matches!(refusal, Refusal::SubnetOverlap { .. }), "{refusal}");
        assert_eq!(refusal.kind(), RefusalKind::Precondition);
    }
}

#[test]
fn the_pool_steps_over_large_obstacles_at_once() {
    let mut log = Log::with(settings("10.0.0.0/8", 30));
    for n in 0..200 {
        log.network(n + 1, with_subnet(&format!("n{n}"), &format!("10.{}.0.0/16", n + 1)));
    }
    // Block 1 to the last before 10.1.0.0, then behind 10.200.255.255: a search over single /30 would take 3 million steps.
    log.state.tables.cursors.ipv4_block = 1 << 14;
    assert_eq!(cidrs(&log.network(900, spec("auto"))), ["10.201.0.0/30"]);
}

#[test]
fn routes_of_the_host_are_kept_clear_of() {
    let mut log = Log::new();
    let routes = ["0.0.0.0/0", "10.0.0.0/15", "192.168.0.0/24"];
    let Reply::Network(auto) = log.ask(avoiding(1, spec("auto"), &routes)) else { panic!() };
    assert_eq!(cidrs(&auto), ["10.2.0.0/24"]);
    let refusal = log.refused(avoiding(2, with_subnet("two", "192.168.0.128/25"), &routes));
    assert!(refusal.to_string().contains("192.168.0.0/24, a route of this host"), "{refusal}");
    let refusal = log.refused(avoiding(2, spec("two"), &["10.0.0.0/8"]));
    assert!(matches!(refusal, Refusal::SubnetsAllRouted { .. }), "{refusal}");
}

#[test]
fn f46_an_exhausted_pool_says_so_and_what_comes_back_is_used() {
    let mut log = Log::with(settings("10.9.0.0/26", 28));
    for n in 1..4 {
        log.network(n, spec(&format!("n{n}")));
    }
    let refusal = log.refused(network(4, spec("n4")));
    assert_eq!(refusal.kind(), RefusalKind::Exhausted);
    assert!(refusal.to_string().contains("default address pools (10.9.0.0/26)"), "{refusal}");
    log.ask(Command::RemoveNetwork { network: id(2) });
    assert_eq!(cidrs(&log.network(4, spec("n4"))), ["10.9.0.32/28"]);
}

#[test]
fn gateways_and_ipam_are_as_asked_for() {
    let mut log = Log::new();
    let mut first = ipam("172.30.0.0/24");
    first.aux_addresses.insert("router".into(), ip("172.30.0.1"));
    let mut second = ipam("172.30.1.0/24");
    second.gateway = Some(ip("172.30.1.254"));
    let asked = NetworkSpec { ipam: vec![first, second], ..spec("two") };
    let made = log.network(1, asked.clone());
    assert_eq!(made.spec, asked);
    assert_eq!(made.subnets[0].gateway, ip("172.30.0.2"), "the first address is an auxiliary one");
    assert_eq!(made.subnets[1].gateway, ip("172.30.1.254"));

    let mut outside = ipam("172.30.2.0/24");
    outside.gateway = Some(ip("172.30.3.1"));
    let refusal = log.refused(network(2, NetworkSpec { ipam: vec![outside], ..spec("wrong") }));
    assert_eq!(refusal.kind(), RefusalKind::Invalid);
    let mut full = ipam("172.30.4.0/30");
    full.aux_addresses = [("a".into(), ip("172.30.4.1")), ("b".into(), ip("172.30.4.2"))].into();
    let refusal = log.refused(network(2, NetworkSpec { ipam: vec![full], ..spec("full") }));
    assert!(matches!(refusal, Refusal::NoGateway(_)), "{refusal}");
}

#[test]
fn f28_names_ids_and_vnis_are_used_once() {
    let mut log = Log::new();
    let vni = Vni::new(5000);
    log.network(1, NetworkSpec { vni, ..spec("Web") });
    let taken = Refusal::NetworkNameTaken { name: name("web"), id: id(1) };
    assert_eq!(log.refused(network(2, spec("web"))), taken);
    for reserved in swarm_model::HOST_NETWORKS {
        let refusal = log.refused(network(2, spec(reserved)));
        assert_eq!(refusal, Refusal::NetworkNameReserved(name(reserved)), "{refusal}");
    }
    assert_eq!(log.refused(network(1, spec("other"))), Refusal::NetworkExists(id(1)));
    let refusal = log.refused(network(2, NetworkSpec { vni, ..spec("two") }));
    assert_eq!(refusal, Refusal::VniTaken { vni: vni.unwrap(), network: "Web".into() });
    // Also when the search comes to it.
    log.state.tables.cursors.vni = 5000 - Vni::FIRST_ALLOCATED;
    assert_eq!(log.network(2, spec("two")).vni.get(), 5001);
    log.state.tables.cursors.vni = Vni::MAX - Vni::FIRST_ALLOCATED;
    assert_eq!(log.network(3, spec("three")).vni.get(), Vni::MAX);
    assert_eq!(log.network(4, spec("four")).vni.get(), 4097, "4096 is ingress");
}

#[test]
fn a_network_in_use_is_not_removed_and_the_answer_names_its_users() {
    let mut log = Log::new();
    log.network(1, spec("web"));
    for n in 0..12 {
        log.attach(1 + n % 2, endpoint(n, 1, &format!("e{n:02}")));
    }
    let refusal = log.refused(Command::RemoveNetwork { network: id(1) });
    let text = refusal.to_string();
    assert!(text.contains("endpoint e00 on host h1, endpoint e01 on host h2,"), "{text}");
    assert!(text.contains("endpoint e09 on host h2 and 2 more"), "{text}");
    for node in [1, 2] {
        log.ask(release(node, &(0..12).filter(|n| 1 + n % 2 == node).collect::<Vec<_>>()));
    }
    let removed = Reply::Removed { network: id(1), name: name("web") };
    assert_eq!(log.ask(Command::RemoveNetwork { network: id(1) }), removed);
    let refusal = log.refused(Command::RemoveNetwork { network: id(1) });
    assert_eq!(refusal.kind(), RefusalKind::NotFound);
}

#[test]
fn the_clusters_own_networks_stay() {
    let mut log = Log::new();
    log.network(1, spec("used"));
    log.network(2, spec("b"));
    log.network(3, spec("a"));
    log.attach(1, endpoint(1, 1, "e"));
    let refusal = log.refused(Command::RemoveNetwork { network: id(999) });
    assert_eq!(refusal, Refusal::NetworkPredefined(name("ingress")));
    assert_eq!(log.ask(Command::PruneNetworks), Reply::Pruned(vec![name("a"), name("b")]));
    assert_eq!(log.state.networks().len(), 2);
}

#[test]
fn drivers_of_one_host_make_no_network_of_the_cluster() {
    let mut log = Log::new();
    let refusal = log.refused(network(1, NetworkSpec { driver: Driver::Macvlan, ..spec("mv") }));
    assert_eq!(refusal, Refusal::DriverNotOfCluster(Driver::Macvlan));
}

#[test]
fn networks_are_found_by_id_name_and_unique_prefix() {
    let mut log = Log::new();
    log.network(1, spec("web"));
    log.network(2, spec("0000000000000000000000001"));
    let find = |reference: &str| log.state.resolve_network(reference).map(|network| network.id);
    assert_eq!(find("0000000000000000000000001"), Ok(id(1)), "a full id goes before a name");
    assert_eq!(find("WEB"), Ok(id(1)));
    assert_eq!(find("0000000000000000000000999"), Ok(id(999)));
    assert!(matches!(find("000"), Err(Refusal::Ambiguous { matches: 3, .. })));
    assert_eq!(find("we"), Err(Refusal::NetworkNotFound("we".into())));
}
