//! Rules for endpoints: who gets which address, what is refused, who hears of it.

use super::build::*;
use crate::*;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use swarm_model::*;

/// One network `web` (id 1) of one subnet.
fn with_network(subnet: &str) -> Log {
    let mut log = Log::new();
    log.network(1, NetworkSpec { ipam: vec![ipam(subnet)], ..spec("web") });
    log
}

fn ips(endpoint: &Endpoint) -> Vec<String> {
    endpoint.addresses.iter().map(ToString::to_string).collect()
}

fn asking(n: u64, text: &str, address: &str) -> NewEndpoint {
    NewEndpoint { ip: Some(ip(address)), ..endpoint(n, 1, text) }
}

#[test]
fn addresses_come_one_after_the_other_with_their_macs() {
    let mut log = Log::new();
    log.network(1, NetworkSpec { ipv6: true, ..spec("web") });
    let one = log.attach(1, endpoint(1, 1, "one"));
    let two = log.attach(2, endpoint(2, 1, "two"));
    assert_eq!(ips(&one), ["10.0.1.2/24", "fd12:3456:789a::2/64"]);
    assert_eq!(ips(&two), ["10.0.1.3/24", "fd12:3456:789a::3/64"]);
    assert_eq!(one.mac.to_string(), "02:42:0a:00:01:02");
}

#[test]
fn f46_a_released_address_rests_and_is_usable_at_once_by_its_name() {
    let mut log = with_network("172.30.0.0/29");
    for n in 2..7 {
        log.attach(1, endpoint(n, 1, &format!("e{n}")));
    }
    let full = log.refused(attach(1, vec![endpoint(9, 1, "late")]));
    assert!(matches!(full, Refusal::AddressesExhausted { .. }), "{full}");

    log.ask(release(1, &[3, 4]));
    log.now_ms += 1_000;
    let resting = log.refused(attach(1, vec![endpoint(9, 1, "late")]));
    let expected = Refusal::AddressesResting { network: name("web"), resting: 2, wait_ms: REST_MS - 1_000 };
    assert_eq!(resting, expected);
    assert!(resting.to_string().contains("still rest"), "{resting}");

    // B8: `run --ip X`, its end, `run --ip X` on another host.
    let moved = log.attach(2, asking(9, "moved", "172.30.0.3"));
    assert_eq!(ips(&moved), ["172.30.0.3/29"]);
    log.now_ms += REST_MS;
    assert_eq!(ips(&log.attach(1, endpoint(10, 1, "late"))), ["172.30.0.4/29"]);
}

#[test]
fn a_clock_that_jumps_back_keeps_no_address_from_waking() {
    let mut log = with_network("172.30.0.0/30");
    log.now_ms = u64::MAX / 2;
    log.attach(1, endpoint(1, 1, "one"));
    log.ask(release(1, &[1]));
    log.now_ms = 5;
    log.refused(attach(1, vec![endpoint(2, 1, "two")]));
    log.now_ms += REST_MS;
    log.attach(1, endpoint(2, 1, "two"));
}

#[test]
fn endpoints_come_from_the_first_subnet_with_room() {
    let mut log = Log::new();
    let mut narrow = ipam("172.30.0.0/24");
    narrow.ip_range = Some("172.30.0.64/31".parse().unwrap());
    log.network(1, NetworkSpec { ipam: vec![narrow, ipam("172.30.1.0/24")], ..spec("web") });
    let got: Vec<_> = (0..4).map(|n| ips(&log.attach(1, endpoint(n, 1, &format!("e{n}"))))).collect();
    assert_eq!(got.concat(), ["172.30.0.64/24", "172.30.0.65/24", "172.30.1.2/24", "172.30.1.3/24"]);
    let outside_range = log.attach(1, asking(9, "e9", "172.30.0.200"));
    assert_eq!(ips(&outside_range), ["172.30.0.200/24"]);
}

#[test]
fn an_address_asked_for_must_be_free_inside_and_not_reserved() {
    let mut log = with_network("172.30.0.0/24");
    log.attach(1, asking(1, "one", "172.30.0.9"));
    let refusal = log.refused(attach(2, vec![asking(2, "two", "172.30.0.9")]));
    assert_eq!(refusal.to_string(), "address 172.30.0.9 of network web is used by endpoint one on host h1");
    for reserved in ["172.30.0.0", "172.30.0.1", "172.30.0.255"] {
        let refusal = log.refused(attach(2, vec![asking(2, "two", reserved)]));
        assert_eq!(refusal, Refusal::AddressReserved { ip: ip(reserved), network: name("web") });
    }
    let refusal = log.refused(attach(2, vec![asking(2, "two", "172.31.0.1")]));
    assert_eq!(refusal.kind(), RefusalKind::Invalid);
}

#[test]
fn names_are_unique_on_a_network_and_aliases_are_shared() {
    let mut log = with_network("172.30.0.0/24");
    log.network(2, spec("other"));
    let aliased = |n, text| NewEndpoint { aliases: vec![name("db")], ..endpoint(n, 1, text) };
    log.attach(1, aliased(1, "one"));
    log.attach(2, aliased(2, "two"));
    log.attach(1, endpoint(3, 2, "one"));
    let refusal = log.refused(attach(2, vec![endpoint(4, 1, "ONE")]));
    let (name, network) = (name("ONE"), name("web"));
    assert_eq!(refusal, Refusal::EndpointNameTaken { name, network, host: "h1".into() });
}

#[test]
fn macs_are_unique_on_a_network() {
    let mut log = with_network("172.30.0.0/24");
    let with_mac = |n, mac: &str| NewEndpoint { mac: mac.parse().ok(), ..endpoint(n, 1, &format!("e{n}")) };
    // The one the first free address would have had: that address is passed over.
    log.attach(1, with_mac(1, "02:42:ac:1e:00:03"));
    assert_eq!(ips(&log.attach(1, endpoint(2, 1, "two"))), ["172.30.0.4/24"]);
    let taken = log.refused(attach(1, vec![with_mac(3, "02:42:ac:1e:00:03")]));
    assert!(matches!(taken, Refusal::MacTaken { .. }), "{taken}");
    let group = log.refused(attach(1, vec![with_mac(3, "01:00:5e:00:00:01")]));
    assert!(matches!(group, Refusal::MacUnusable(_)), "{group}");
}

#[test]
fn all_endpoints_of_a_command_or_none() {
    let mut log = with_network("172.30.0.0/24");
    log.network(2, spec("other"));
    let both = vec![endpoint(1, 1, "one"), endpoint(2, 2, "one"), endpoint(3, 1, "two")];
    let Reply::Endpoints { endpoints, revision } = log.ask(attach(1, both.clone())) else { panic!() };
    assert_eq!(endpoints.iter().map(|e| e.id).collect::<Vec<_>>(), [id(1), id(2), id(3)]);
    assert_eq!(revision, log.state.revision());
    let more = vec![endpoint(4, 2, "new"), endpoint(5, 1, "two")];
    log.refused(attach(1, more));
    assert!(log.state.endpoint(&id(4)).is_none());
    log.refused(attach(1, vec![endpoint(6, 1, "x"), endpoint(6, 2, "x")]));
    log.refused(attach(1, vec![endpoint(6, 1, "x"), endpoint(7, 1, "x")]));
    log.refused(attach(1, vec![asking(6, "x", "172.30.0.77"), asking(7, "y", "172.30.0.77")]));
}

#[test]
fn asked_for_again_an_endpoint_is_answered_as_it_is() {
    let mut log = with_network("172.30.0.0/24");
    let first = log.ask(attach(1, vec![endpoint(1, 1, "one")]));
    log.ask(Command::NoOp);
    assert_eq!(log.ask(attach(1, vec![endpoint(1, 1, "one")])), first, "the revision too");
    assert!(log.events.is_empty());
    for other in [attach(2, vec![endpoint(1, 1, "one")]), attach(1, vec![endpoint(1, 1, "uno")])] {
        assert_eq!(log.refused(other), Refusal::EndpointIdTaken(id(1)));
    }
}

#[test]
fn f46_releasing_passes_over_what_is_gone_and_refuses_what_is_anothers() {
    let mut log = with_network("172.30.0.0/24");
    log.attach(1, endpoint(1, 1, "one"));
    log.attach(2, endpoint(2, 1, "two"));
    let foreign = log.refused(release(1, &[1, 2]));
    assert_eq!(foreign, Refusal::EndpointElsewhere { endpoint: id(2) });
    let revision = log.state.revision() + 1;
    assert_eq!(log.ask(release(1, &[7, 1, 1])), Reply::Released { revision });
    assert_eq!(log.ask(release(1, &[1])), Reply::Released { revision: 0 });
}

#[test]
fn networks_and_nodes_that_take_no_endpoints() {
    let mut log = Log::new();
    log.network(1, NetworkSpec { attachable: false, ..spec("closed") });
    let refusal = log.refused(attach(1, vec![endpoint(1, 1, "one")]));
    assert_eq!(refusal.kind(), RefusalKind::Denied);
    assert!(refusal.to_string().contains("not manually attachable"), "{refusal}");
    log.refused(attach(1, vec![endpoint(1, 999, "one")]));
    log.network(2, spec("open"));
    for (n, availability) in [(11, Availability::Pause), (12, Availability::Drain)] {
        let admit = AdmitNode { availability, ..admission(n, Role::Worker) };
        log.ask(Command::AdmitNode(admit));
        let refusal = log.refused(attach(n, vec![endpoint(1, 2, "one")]));
        assert_eq!(refusal, Refusal::NodeUnavailable { host: format!("h{n}"), availability });
    }
    let nobody = log.refused(attach(77, vec![endpoint(1, 2, "one")]));
    assert_eq!(nobody.kind(), RefusalKind::NotFound);
}

#[test]
fn one_new_endpoint_costs_one_small_change_to_each_node_on_its_network() {
    let mut log = with_network("172.30.0.0/24");
    log.attach(1, endpoint(1, 1, "one"));
    log.attach(2, endpoint(2, 1, "two"));
    let third = log.attach(2, endpoint(3, 1, "three"));
    assert_eq!(log.state.touched(&log.events), Touched::Nodes([id(1), id(2)].into()));
    for node in [1, 2] {
        let changes = log.state.changes_for(&id(node), &log.events);
        assert_eq!(changes, vec![Change::PutEndpoint(Endpoint::clone(&third))]);
    }
    assert_eq!(log.state.changes_for(&id(3), &log.events), vec![]);
    log.ask(release(2, &[2, 3]));
    assert_eq!(
        log.state.changes_for(&id(2), &log.events),
        vec![Change::DropNetwork(id(1)), Change::DropPeer(id(1)), Change::DropPeer(id(2)),]
    );
    assert_eq!(
        log.state.changes_for(&id(1), &log.events),
        vec![Change::DropPeer(id(2)), Change::DropEndpoint(id(2)), Change::DropEndpoint(id(3)),]
    );
}

#[test]
fn every_node_is_shown_the_predefined_networks() {
    let log = Log::new();
    let assigned = log.state.assigned(&id(3));
    assert_eq!(assigned.networks.keys().collect::<Vec<_>>(), [&id(999)]);
    assert!(assigned.endpoints.is_empty() && assigned.peers.is_empty());
}
