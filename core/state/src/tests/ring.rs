//! The ring of the cluster's secrets.

use super::build::*;
use crate::*;
use alloc::format;
use alloc::vec::Vec;
use swarm_model::*;

const EVERY_MS: u64 = 12 * 3_600_000;

fn secret(n: u8) -> SecretBytes {
    SecretBytes([n; 32])
}

pub fn turn(after: u64) -> Command {
    let drawn = 100 + after as u8;
    Command::TurnRing(TurnRing { after, gossip: secret(drawn), pairs: secret(drawn + 100) })
}

fn ring(log: &Log) -> SecretRing {
    log.state.cluster().unwrap().ring.clone()
}

#[test]
fn three_generations_are_kept_and_each_is_turned_once() {
    let mut log = Log::new();
    assert!(ring(&log).is_due(0, EVERY_MS), "there is none");
    for after in 0..4 {
        assert_eq!(log.ask(turn(after)), Reply::Done);
        assert_eq!(log.refused(turn(after)), Refusal::RingTurned { newest: after + 1 });
    }
    let kept: Vec<u64> = ring(&log).generations.iter().map(|generation| generation.number).collect();
    assert_eq!(kept, [4, 3, 2]);
    assert_eq!(ring(&log).generations[0].gossip, secret(103));
}

#[test]
fn it_is_time_after_so_long_and_at_once_when_a_node_is_gone() {
    let mut log = Log::new();
    log.ask(Command::AdmitNode(admission(5, Role::Worker)));
    log.ask(turn(0));
    let made = ring(&log).generations[0].created_ms;
    assert!(
        !ring(&log).is_due(made + EVERY_MS - 1, EVERY_MS) && ring(&log).is_due(made + EVERY_MS, EVERY_MS)
    );
    assert!(!ring(&log).is_due(made - 1, EVERY_MS), "a clock that is behind");
    log.ask(Command::RemoveNode { node: id(5), force: true });
    assert!(ring(&log).is_due(made, EVERY_MS), "who was removed knows it");
    log.ask(turn(1));
    assert!(!ring(&log).is_due(made, EVERY_MS));
}

#[test]
fn without_a_ring_a_removed_node_spends_nothing() {
    let mut log = Log::new();
    log.ask(Command::AdmitNode(admission(5, Role::Worker)));
    log.ask(Command::RemoveNode { node: id(5), force: true });
    assert_eq!(ring(&log), SecretRing::default());
}

#[test]
fn secrets_are_not_printed() {
    let mut log = Log::new();
    log.ask(turn(0));
    let printed = format!("{:?} {:?}", ring(&log), turn(0));
    assert!(!printed.contains("100, 100") && !printed.contains("200, 200"), "{printed}");
}
