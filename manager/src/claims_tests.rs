//! What a node may say of itself, and what not.

use super::*;
use crate::leader::testing::{node_id as id, worker as node};
use std::net::Ipv4Addr;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));

fn honest() -> Claim<'static> {
    Claim { node: id(3), hostname: "h3", addr: HERE, data_path_addr: HERE, from: HERE }
}

fn judged(claim: Claim<'_>) -> Result<(), String> {
    let nodes = [node(1, NodeState::Ready), node(2, NodeState::Down), node(3, NodeState::Ready)];
    claim.check(None, nodes.iter())
}

fn refused(claim: Claim<'_>, words: &str) {
    let said = judged(claim).expect_err(words);
    assert!(said.contains(words), "{said}");
}

#[test]
fn an_honest_node_is_believed() {
    judged(honest()).unwrap();
    judged(Claim { hostname: "node-3.example_1.com", from: "::ffff:192.0.2.3".parse().unwrap(), ..honest() })
        .unwrap();
    // Behind NAT, or with a network of its own for the data path.
    judged(Claim { from: IpAddr::from([198, 51, 100, 1]), ..honest() }).unwrap();
}

#[test]
fn addresses_nobody_can_send_to_are_refused() {
    for (given, kind) in [
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("255.255.255.255", "broadcast"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("169.254.1.1", "link-local"),
    ] {
        let ip = given.parse().unwrap();
        refused(Claim { data_path_addr: ip, ..honest() }, kind);
        refused(Claim { addr: ip, ..honest() }, kind);
    }
    // All nodes on one host.
    let here = IpAddr::from([127, 0, 0, 1]);
    judged(Claim { addr: here, data_path_addr: here, from: here, ..honest() }).unwrap();
}

#[test]
fn another_family_than_that_of_the_others_is_refused() {
    let v6 = "fd00::3".parse().unwrap();
    refused(Claim { data_path_addr: v6, ..honest() }, "the nodes of this cluster send over IPv4");
    let first = Claim { data_path_addr: v6, ..honest() };
    first.check(None, [node(3, NodeState::Ready), node(4, NodeState::Disconnected)].iter()).unwrap();
}

#[test]
fn the_address_of_a_node_that_is_there_stays_its_own_unless_it_is_called_from() {
    let taken = IpAddr::from([192, 0, 2, 1]);
    refused(Claim { data_path_addr: taken, ..honest() }, "is that of node");
    judged(Claim { data_path_addr: taken, from: taken, ..honest() }).unwrap();
    judged(Claim { data_path_addr: IpAddr::from([192, 0, 2, 2]), ..honest() }).unwrap();
}

#[test]
fn names_that_are_no_dns_names_are_refused_unless_they_are_on_record() {
    let long = "a".repeat(64);
    for name in ["", "h3 \u{1b}[7mX", "a\nb", "a b", "a..b", ".", "-a", "ü", "h1   Ready", &long] {
        refused(Claim { hostname: name, ..honest() }, "is no DNS name");
    }
    let before = Node { hostname: "an old name".to_owned(), ..node(3, NodeState::Ready) };
    Claim { hostname: "an old name", ..honest() }.check(Some(&before), std::iter::empty()).unwrap();
}
