//! Names on networks: what is answered, and that a zone is nothing but its endpoints.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use swarm_model::{DnsName, Endpoint, Id, mac_for_ip};
use swarm_overlay::dns::{Answer, Kind, Order, Zone, answer, lookup_form, name_of_address, reverse_name};

fn endpoint(number: u8, name: &str, aliases: &[&str], addresses: &[&str]) -> Endpoint {
    let addresses: Vec<ipnet::IpNet> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    Endpoint {
        id: Id::from_random([number; 16]),
        network: Id::from_random([200; 16]),
        node: Id::from_random([201; 16]),
        sandbox: Id::from_random([202; 16]),
        name: name.parse().unwrap(),
        aliases: aliases.iter().map(|a| a.parse().unwrap()).collect(),
        mac: mac_for_ip(addresses.first().map_or(IpAddr::from([0; 4]), |a| a.addr())),
        addresses,
        created_ms: 0,
    }
}

fn zone(network: &str, endpoints: &[Endpoint]) -> Zone {
    let mut zone = Zone::new(&network.parse::<DnsName>().unwrap());
    endpoints.iter().for_each(|e| zone.put(e));
    zone
}

fn ips(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|t| t.parse().unwrap()).collect())
}

fn order(turn: u64) -> Order<'static> {
    Order { turn, last: &|_| false }
}

#[test]
fn a_name_an_alias_and_a_qualified_name_mean_the_same() {
    let zone = zone("My_Net", &[endpoint(1, "Web", &["www"], &["10.0.1.5/24"])]);
    for name in ["web", "www", "web.my_net", "www.my_net"] {
        assert_eq!(answer([&zone], name, Kind::A, order(0)), ips(&["10.0.1.5"]), "{name}");
    }
    for name in ["my_net", "web.other", "web.my_net.local", "we", "", "."] {
        assert_eq!(answer([&zone], name, Kind::A, order(0)), Answer::Unknown, "{name}");
    }
}

#[test]
fn a_known_name_has_nothing_of_other_kinds() {
    let zone = zone("net", &[endpoint(1, "web", &[], &["10.0.1.5/24"])]);
    assert_eq!(answer([&zone], "web", Kind::Aaaa, order(0)), Answer::Empty);
    assert_eq!(answer([&zone], "web", Kind::Other, order(0)), Answer::Empty);
    assert_eq!(answer([&zone], "5.1.0.10.in-addr.arpa", Kind::A, order(0)), Answer::Empty);
    assert_eq!(answer([&zone], "6.1.0.10.in-addr.arpa", Kind::Ptr, order(0)), Answer::Unknown);
}

#[test]
fn both_families_and_the_way_back() {
    let zone = zone("net", &[endpoint(1, "web", &["www"], &["10.0.1.5/24", "fd00::5/64"])]);
    assert_eq!(answer([&zone], "web", Kind::Aaaa, order(0)), ips(&["fd00::5"]));
    for ip in ["10.0.1.5", "fd00::5"] {
        let name = name_of_address(ip.parse().unwrap());
        assert_eq!(answer([&zone], &name, Kind::Ptr, order(0)), Answer::Names(vec!["web.net".into()]));
    }
}

#[test]
fn only_the_networks_asked_answer_and_all_of_them_do() {
    let one = zone("one", &[endpoint(1, "web", &[], &["10.0.1.5/24"])]);
    let two =
        zone("two", &[endpoint(2, "web", &[], &["10.0.2.5/24"]), endpoint(3, "db", &[], &["10.0.2.6/24"])]);
    assert_eq!(answer([&one], "db", Kind::A, order(0)), Answer::Unknown);
    assert_eq!(answer([&one, &two], "web", Kind::A, order(0)), ips(&["10.0.1.5", "10.0.2.5"]));
    assert_eq!(answer([&one, &two], "web.two", Kind::A, order(0)), ips(&["10.0.2.5"]));
    assert_eq!(answer(core::iter::empty(), "web", Kind::A, order(0)), Answer::Unknown);
}

#[test]
fn several_addresses_take_turns() {
    let shared = |n: u8, ip: &str| endpoint(n, &format!("w{n}"), &["all"], &[ip]);
    let zone = zone("net", &[shared(1, "10.0.1.1/24"), shared(2, "10.0.1.2/24"), shared(3, "10.0.1.3/24")]);
    assert_eq!(answer([&zone], "all", Kind::A, order(0)), ips(&["10.0.1.1", "10.0.1.2", "10.0.1.3"]));
    assert_eq!(answer([&zone], "all", Kind::A, order(4)), ips(&["10.0.1.2", "10.0.1.3", "10.0.1.1"]));
}

/// I14: whoever is doubted is told last, and told.
#[test]
fn addresses_on_doubted_nodes_come_last() {
    let on = |n: u8, ip: &str| {
        let on_node = endpoint(n, &format!("w{n}"), &["all"], &[ip]);
        Endpoint { node: Id::from_random([n; 16]), ..on_node }
    };
    let zone = zone("net", &[on(1, "10.0.1.1/24"), on(2, "10.0.1.2/24"), on(3, "10.0.1.3/24")]);
    for (turn, expected) in [["10.0.1.1", "10.0.1.3"], ["10.0.1.3", "10.0.1.1"]].into_iter().enumerate() {
        let order = Order { turn: turn as u64, last: &|node| *node == Id::from_random([2; 16]) };
        let [first, second] = expected;
        assert_eq!(answer([&zone], "all", Kind::A, order), ips(&[first, second, "10.0.1.2"]));
        assert_eq!(answer([&zone], "w2", Kind::A, order), ips(&["10.0.1.2"]), "the only one");
    }
}

#[test]
fn an_endpoint_in_its_new_form_leaves_nothing_of_the_old() {
    let mut zone = zone("net", &[endpoint(1, "web", &["www"], &["10.0.1.5/24"])]);
    zone.put(&endpoint(1, "web", &["api"], &["10.0.1.6/24"]));
    assert_eq!(answer([&zone], "www", Kind::A, order(0)), Answer::Unknown);
    assert_eq!(answer([&zone], "api", Kind::A, order(0)), ips(&["10.0.1.6"]));
    assert_eq!(answer([&zone], "5.1.0.10.in-addr.arpa", Kind::Ptr, order(0)), Answer::Unknown);
}

#[test]
fn what_is_no_reverse_name() {
    let long = format!("0.{}", name_of_address("fd00::1".parse().unwrap()));
    for name in [
        "1.0.10.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "256.0.0.1.in-addr.arpa",
        "01.0.0.1.in-addr.arpa",
        "+1.0.0.1.in-addr.arpa",
        "a.ip6.arpa",
        "in-addr.arpa",
        "ip6.arpa",
        "",
        &long,
    ] {
        assert_eq!(reverse_name(name), None, "{name}");
    }
    assert_eq!(lookup_form("WeB.Net."), "web.net");
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let label = prop::sample::select(vec!["a", "B", "c", "D1", "e-e"]);
    let aliases = prop::collection::vec(label.clone(), 0..3);
    (0u8..6, label, aliases, 1u8..6, any::<bool>()).prop_map(|(number, name, aliases, host, six)| {
        let (four, six_text) = (format!("10.0.0.{host}/24"), format!("fd00::{host}/64"));
        let both = [four.as_str(), six_text.as_str()];
        endpoint(number, name, &aliases, if six { &both } else { &both[..1] })
    })
}

proptest! {
    /// Whatever came and went before, a zone equals one made from the endpoints that are left.
    #[test]
    fn a_zone_is_its_endpoints(steps in prop::collection::vec((any::<bool>(), any_endpoint()), 0..40)) {
        let mut followed = zone("net", &[]);
        let mut left = BTreeMap::new();
        for (put, endpoint) in steps {
            if put {
                followed.put(&endpoint);
                left.insert(endpoint.id, endpoint);
            } else {
                followed.drop_endpoint(endpoint.id);
                left.remove(&endpoint.id);
            }
        }
        let made = zone("net", &left.values().cloned().collect::<Vec<_>>());
        prop_assert_eq!(followed.len(), left.len());
        for name in ["a", "b", "c", "d1", "e-e"] {
            for kind in [Kind::A, Kind::Aaaa, Kind::Other] {
                prop_assert_eq!(answer([&followed], name, kind, order(0)), answer([&made], name, kind, order(0)));
            }
        }
    }

    #[test]
    fn every_address_comes_back_from_its_reverse_name(v6 in any::<bool>(), bits in any::<u128>()) {
        let ip = if v6 { IpAddr::V6(bits.into()) } else { IpAddr::V4((bits as u32).into()) };
        prop_assert_eq!(reverse_name(&name_of_address(ip)), Some(ip));
    }

    #[test]
    fn no_text_is_too_strange(name in "\\PC{0,80}", tail in prop::sample::select(vec!["", ".in-addr.arpa", ".ip6.arpa"])) {
        let name = format!("{name}{tail}");
        let _ = answer([&zone("net", &[])], &name, Kind::Ptr, order(1));
    }
}
