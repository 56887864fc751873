//! Who encrypts with whom, and what each is told of the other.

use super::build::*;
use crate::*;
use alloc::vec;
use alloc::vec::Vec;
use swarm_model::*;

fn encrypted(text: &str) -> NetworkSpec {
    NetworkSpec { encrypted: true, ..spec(text) }
}

fn register(n: u64, features: u32) -> Command {
    let AdmitNode { hostname, addr, data_path_addr, version, .. } = admission(n, Role::Worker);
    let (node, session, manager) = (id(n), id(100 + n), id(0));
    let told = RegisterNode { node, session, manager, hostname, addr, data_path_addr, version, features };
    Command::RegisterNode(told)
}

pub fn note(n: u64, session: u64, drawn: u8) -> Command {
    let (node, session, incarnation) = (id(n), id(session), Incarnation([drawn; 16]));
    Command::NoteIncarnation(NoteIncarnation { node, session, incarnation })
}

/// Nodes 1 and 2 on an encrypted network, 1 and 3 on a plain one.
fn log() -> Log {
    let mut log = Log::new();
    log.network(1, encrypted("secret"));
    log.network(2, spec("plain"));
    (1..4).for_each(|n| drop(log.ask(register(n, FEATURE_LEVEL))));
    log.attach(1, endpoint(1, 1, "a"));
    log.attach(2, endpoint(2, 1, "b"));
    log.attach(1, endpoint(3, 2, "c"));
    log.attach(3, endpoint(4, 2, "d"));
    log
}

fn partners(log: &Log, n: u64) -> Vec<NodeId> {
    log.state.assigned(&id(n)).pairs.into_keys().collect()
}

#[test]
fn those_on_an_encrypted_network_are_pairs_and_nobody_else() {
    let mut log = log();
    assert_eq!((partners(&log, 1), partners(&log, 2), partners(&log, 3)), (vec![id(2)], vec![id(1)], vec![]));
    let pair = log.state.assigned(&id(1)).pairs.remove(&id(2)).unwrap();
    assert_eq!((pair.incarnation, pair.ring), (None, PairRing::default()), "secrets do not come from here");
    log.ask(release(2, &[2]));
    assert!(log.state.changes_for(&id(1), &log.events).contains(&Change::DropPair(id(2))));
    assert_eq!(partners(&log, 1), vec![]);
}

#[test]
fn a_new_incarnation_concerns_the_other_end_alone() {
    let mut log = log();
    assert_eq!(log.ask(note(1, 101, 7)), Reply::Done);
    let told = log.state.changes_for(&id(2), &log.events);
    assert!(
        matches!(&told[..], [Change::PutPair(pair)] if pair.incarnation == Some(Incarnation([7; 16]))),
        "{told:?}"
    );
    assert_eq!(log.state.changes_for(&id(3), &log.events), vec![]);
    log.ask(note(1, 101, 7));
    assert_eq!(log.events, vec![], "the same again");
    assert_eq!(log.refused(note(1, 7, 8)), Refusal::SessionSuperseded(id(1)));
}

#[test]
fn another_generation_concerns_every_pair() {
    let mut log = log();
    log.ask(super::ring::turn(0));
    for (node, other) in [(1, Some(2)), (2, Some(1)), (3, None)] {
        let told = log.state.changes_for(&id(node), &log.events);
        let pairs = |change: &Change| if let Change::PutPair(pair) = change { Some(pair.node) } else { None };
        assert_eq!(told.iter().filter_map(pairs).next(), other.map(id), "{told:?}");
    }
}

#[test]
fn a_node_too_old_to_encrypt_gets_no_endpoint_on_an_encrypted_network() {
    let mut log = log();
    log.ask(register(3, ENCRYPTION_LEVEL - 1));
    let refusal = log.refused(attach(3, vec![endpoint(9, 1, "e")]));
    assert!(matches!(refusal, Refusal::NoEncryption { features: 3, .. }), "{refusal}");
    log.attach(3, endpoint(9, 2, "e"));
}
