//! F36, as bytes: what releases of earlier feature levels wrote, read by today's.
//!
//! Before `FEATURE_LEVEL` is raised: `cargo test -p swarm-manager --test managers write_this_level -- --ignored`, and the
//! new folder in `tests/golden` is committed with the change that raises it.

use crate::golden::{self, Golden, id, pack, register};
use prost::Message;
use serde_json::Value;
use std::fmt::Debug;
use swarm_model::{Assignment, Epoch, FEATURE_LEVEL, Node};
use swarm_proto::v1;
use swarm_state::{Command, Entry, Reply, Settled, Snapshot, State, apply};

/// Those of the past; today's once it is written down.
fn levels() -> impl Iterator<Item = (u32, Golden)> {
    (1..=FEATURE_LEVEL)
        .filter(|level| *level < FEATURE_LEVEL || golden::exists(*level))
        .map(|level| (level, golden::read(level)))
}

/// Everything in `old` is in `new`, which may have more fields.
fn keeps(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            old.iter().all(|(name, value)| new.get(name).is_some_and(|new| keeps(new, value)))
        }
        (Value::Array(new), Value::Array(old)) => {
            new.len() == old.len() && new.iter().zip(old).all(|(new, old)| keeps(new, old))
        }
        _ => new == old,
    }
}

fn value(bytes: &[u8]) -> Value {
    rmp_serde::from_slice(bytes).unwrap()
}

/// The state after a level's log, each reply of which is as it was.
fn replayed(level: u32, golden: &Golden) -> State {
    let mut state = State::default();
    for (index, logged) in (1u64..).zip(&golden.log) {
        let entry: Entry = rmp_serde::from_slice(&logged.entry).unwrap();
        assert_eq!(format!("{:?}", entry.command.verb()), logged.verb);
        assert!(entry.command.since() <= level, "{} is newer than level {level}", logged.verb);
        let _: Reply = rmp_serde::from_slice(&logged.reply).unwrap();
        let reply = apply(&mut state, index, &entry).reply;
        assert!(
            keeps(&value(&pack(&reply)), &value(&logged.reply)),
            "level {level}, entry {index}, {}: now {reply:?}, then {}",
            logged.verb,
            value(&logged.reply)
        );
    }
    state.check_invariants().unwrap();
    state
}

fn restored(golden: &Golden) -> State {
    State::from_snapshot(rmp_serde::from_slice::<Snapshot>(&golden.snapshot).unwrap()).unwrap()
}

#[test]
fn f36_earlier_logs_are_applied_with_the_same_outcome() {
    for (level, golden) in levels() {
        let state = replayed(level, &golden);
        assert!(keeps(&value(&pack(&state.snapshot())), &value(&golden.snapshot)), "level {level}");
        assert_eq!(state.cluster().unwrap().feature_level, level);
    }
}

#[test]
fn f36_earlier_snapshots_are_restored() {
    for (level, golden) in levels() {
        let state = restored(&golden);
        assert_eq!(state.cluster().unwrap().feature_level, level);
        assert_eq!(state.revision(), golden.log.len() as u64);
        assert!(keeps(&value(&pack(&state.snapshot())), &value(&golden.snapshot)), "level {level}");
    }
}

/// A field of a number nobody has given yet, as a later release might.
fn from_later(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0xc0, 0xbb, 0x01, 0x2a]].concat()
}

fn read_message(name: &str, bytes: &[u8]) {
    fn known<M: Message + Default + Debug + PartialEq>(bytes: &[u8]) -> M {
        let message = M::decode(bytes).unwrap();
        assert_eq!(M::decode(&*from_later(bytes)).unwrap(), message, "an unknown field changed it");
        message
    }
    match name {
        "WorkerMessage" => assert!(known::<v1::WorkerMessage>(bytes).message.is_some()),
        "IssueRequest" => drop(known::<v1::IssueRequest>(bytes)),
        "ProposeRequest" => {
            let asked = known::<v1::ProposeRequest>(bytes);
            rmp_serde::from_slice::<Command>(&asked.command).unwrap();
        }
        "ManagerMessage" => match known::<v1::ManagerMessage>(bytes).message.unwrap() {
            v1::manager_message::Message::Complete(whole) => drop(Assignment::try_from(whole).unwrap()),
            v1::manager_message::Message::Incremental(step) => drop(Assignment::try_from(step).unwrap()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other} is not read by this test"),
    }
}

#[test]
fn f36_earlier_messages_are_read_and_unknown_fields_passed_over() {
    for (_, golden) in levels() {
        assert!(golden.messages.len() >= 7);
        golden.messages.iter().for_each(|(name, bytes)| read_message(name, bytes));
    }
}

/// A manager that was older has dropped what it did not know: its copy and another's are not the same until the level
/// rises, and nothing may be decided by the difference.
#[test]
fn f36_who_was_older_and_who_was_not_are_the_same_from_the_new_level_on() {
    let golden = golden::read(1);
    let (mut newer, mut upgraded) = (replayed(1, &golden), restored(&golden));
    // Heard by both, kept by the one that knew the field.
    let Command::RegisterNode(said) = register(2) else { panic!("another command") };
    let dropped = swarm_state::RegisterNode { features: 0, ..said.clone() };
    for (state, heard) in [(&mut newer, said), (&mut upgraded, dropped)] {
        let entry = Entry { request: None, now_ms: 1_750_000_000_000, command: Command::RegisterNode(heard) };
        let index = state.revision() + 1;
        assert!(matches!(apply(state, index, &entry).reply, Reply::Node(_)));
    }
    let mut both = |command: Command| {
        let entry = Entry { request: None, now_ms: 1_800_000_000_000, command };
        let index = newer.revision() + 1;
        let (one, other) = (apply(&mut newer, index, &entry), apply(&mut upgraded, index, &entry));
        assert_eq!(one.reply, other.reply);
        assert!(newer.cluster() == upgraded.cluster());
        one.reply
    };
    let features = |managers: &[u64]| managers.iter().map(|n| (id(*n), 2)).collect();
    let rise = |managers: &[u64]| Command::SetFeatureLevel {
        level: 2,
        settled: Some(Settled { epoch: Epoch::from_u64(1), features: features(managers), past: vec![] }),
    };
    assert!(matches!(both(rise(&[1])), Reply::Refused(_)), "a voter is not among those who know it");
    assert_eq!(both(rise(&[1, 2])), Reply::Done);
    let nodes = |state: &State| state.nodes().cloned().collect::<Vec<Node>>();
    assert_eq!(nodes(&newer), nodes(&upgraded));
    assert_eq!(newer.node(&id(2)).unwrap().features, 2);
}

/// Writes the fixtures of today's level.
#[test]
#[ignore = "writes files: before the level is raised"]
fn write_this_level() {
    golden::write();
}
