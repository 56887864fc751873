//! The limits of contract.md, each with its refusal, and that a state at its limits is cheap to change and to copy.

use super::build::*;
use super::std::time::Instant;
use crate::*;
use alloc::vec::Vec;
use alloc::{format, vec};
use swarm_model::*;

#[test]
fn a_thousand_endpoints_of_one_network_on_one_host() {
    let mut log = Log::new();
    log.network(1, NetworkSpec { ipam: vec![ipam("172.30.0.0/16")], ..spec("web") });
    for n in 0..MAX_ENDPOINTS_PER_HOST as u64 {
        log.ask_unchecked(None, attach(1, vec![endpoint(n, 1, &format!("e{n}"))]));
    }
    let refusal = log.refused(attach(1, vec![endpoint(5000, 1, "more")]));
    assert!(matches!(refusal, Refusal::HostFull { limit: 1000, .. }), "{refusal}");
    log.attach(2, endpoint(5000, 1, "more"));
}

#[test]
fn ten_thousand_networks() {
    let mut log = Log::new();
    for n in 1..MAX_NETWORKS as u64 {
        log.ask_unchecked(None, network(n + 10_000, spec(&format!("n{n}"))));
    }
    assert_eq!(log.state.networks().len(), MAX_NETWORKS);
    let refusal = log.refused(network(1, spec("more")));
    assert_eq!(refusal, Refusal::Limit { what: "networks".into(), limit: MAX_NETWORKS });
    assert_eq!(refusal.kind(), RefusalKind::Exhausted);
}

#[test]
fn ten_thousand_nodes() {
    let mut log = Log::new();
    for n in 4..MAX_NODES as u64 {
        log.ask_unchecked(None, Command::AdmitNode(admission(n, Role::Worker)));
    }
    let refusal = log.refused(Command::AdmitNode(admission(20_000, Role::Worker)));
    assert_eq!(refusal, Refusal::Limit { what: "nodes".into(), limit: MAX_NODES });
}

#[test]
fn a_hundred_thousand_endpoints_and_a_change_that_stays_cheap() {
    let mut log = Log::new();
    for n in 0..2 {
        let spec =
            NetworkSpec { ipam: vec![ipam(&format!("172.{}.0.0/16", 20 + n))], ..spec(&format!("n{n}")) };
        log.network(n, spec);
    }
    for n in 4..60 {
        log.ask_unchecked(None, Command::AdmitNode(admission(n, Role::Worker)));
    }
    for n in 0..MAX_ENDPOINTS as u64 {
        // 50,000 on each network, 1,000 of each on each of the nodes 4 to 53.
        let command = attach(4 + n / 2 % 50, vec![endpoint(n, n % 2, &format!("e{n}"))]);
        log.ask_unchecked(None, command);
    }
    assert_eq!(log.state.endpoints().len(), MAX_ENDPOINTS);
    let refusal = log.refused(attach(1, vec![endpoint(200_000, 0, "more")]));
    assert_eq!(refusal, Refusal::Limit { what: "endpoints".into(), limit: MAX_ENDPOINTS });

    // One change, told to 50 nodes, many times; the bound is far above what it takes and far below a scan.
    let began = Instant::now();
    for n in 0..100 {
        log.ask_unchecked(None, release(4, &[n * 100]));
        told(&log, 50);
        log.ask_unchecked(None, attach(4, vec![endpoint(n * 100, 0, &format!("again{n}"))]));
        told(&log, 50);
    }
    assert!(began.elapsed().as_millis() < 4_000, "200 changes took {:?}", began.elapsed());
    log.state.check_invariants().unwrap();
}

fn told(log: &Log, nodes: usize) {
    let Touched::Nodes(touched) = log.state.touched(&log.events) else { panic!("not for all") };
    assert_eq!(touched.len(), nodes);
    for node in &touched {
        assert_eq!(log.state.changes_for(node, &log.events).len(), 1);
    }
}

#[test]
fn objects_texts_and_lists_too_long_for_the_log() {
    let mut log = Log::new();
    log.network(1, spec("web"));
    let mut large = spec("large");
    large.options = (0..200).map(|n| (format!("option-{n:04}"), "v".repeat(40))).collect();
    let aliases = (0..200).map(|n| name(&format!("alias-{n:040}"))).collect();
    let many = |count| (0..count).map(|n| endpoint(n, 1, &format!("e{n}"))).collect::<Vec<_>>();
    let mut nameless = admission(9, Role::Worker);
    nameless.hostname = "h".repeat(254);
    let mut labelled = spec("labelled");
    labelled.labels = (0..65).map(|n| (format!("k{n}"), "v".into())).collect();
    for command in [
        network(2, large),
        network(2, labelled),
        attach(1, vec![NewEndpoint { aliases, ..endpoint(1, 1, "one") }]),
        attach(1, many(MAX_ENDPOINTS_PER_COMMAND as u64 + 1)),
        release(1, &(0..=MAX_RELEASES_PER_COMMAND as u64).collect::<Vec<_>>()),
        Command::AdmitNode(nameless),
    ] {
        let refusal = log.refused(command);
        assert_eq!(refusal.kind(), RefusalKind::Invalid, "{refusal}");
    }
    log.ask(attach(1, many(MAX_ENDPOINTS_PER_COMMAND as u64)));
}

#[test]
fn the_oldest_reply_makes_room_for_the_newest() {
    let mut log = Log::new();
    for n in 0..=MAX_REMEMBERED as u64 {
        log.ask_unchecked(Some(id(n)), Command::NoOp);
    }
    log.state.check_invariants().unwrap();
    let other = |n| Reply::Refused(Refusal::RequestReused { first: Verb::NoOp, now: n });
    assert_eq!(log.ask_as(Some(id(1)), Command::PruneNetworks), other(Verb::PruneNetworks));
    assert_eq!(log.ask_as(Some(id(0)), Command::PruneNetworks), Reply::Pruned(Vec::new()));
}

#[test]
fn a_snapshot_of_another_format_or_one_that_contradicts_itself_is_not_used() {
    let mut log = Log::new();
    log.network(1, spec("web"));
    log.attach(1, endpoint(1, 1, "one"));
    let mut damaged = log.state.clone();
    damaged.tables.networks.remove(&id(1));
    let error = State::from_snapshot(damaged.snapshot()).unwrap_err();
    assert!(error.problems.iter().any(|problem| problem.contains("does not exist")), "{error}");

    let bytes = rmp_serde::to_vec_named(&log.state.snapshot()).unwrap();
    let at = bytes.windows(6).position(|window| window == b"format").unwrap() + 6;
    let mut newer = bytes.clone();
    newer[at] = 2;
    let error = rmp_serde::from_slice::<Snapshot>(&newer).unwrap_err();
    assert!(super::std::string::ToString::to_string(&error).contains("snapshot of format 2"), "{error}");
    rmp_serde::from_slice::<Snapshot>(&bytes).unwrap();
}
