//! Rules for settings that are changed live, and for the replacement of the root CA.

use super::build::*;
use crate::*;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use swarm_model::*;

fn root(n: u64) -> String {
    match n {
        0 => "certificate".to_string(),
        n => format!("root{n}"),
    }
}

pub fn rotate(old: u64, new: u64) -> Command {
    Command::RotateRoot(Box::new(RotateRoot {
        replaces: root(old),
        root_ca_cert: root(new),
        root_ca_key: format!("key{new}"),
        cross_cert: format!("cross{new}\n"),
        cert_expiry_ms: None,
    }))
}

fn number(log: &Log) -> Option<u64> {
    log.state.cluster().unwrap().rotation.as_ref().map(|rotation| rotation.number)
}

fn renewed(log: &mut Log, node: u64) -> Reply {
    let rotation = number(log).unwrap();
    log.ask(Command::NoteRenewed { node: id(node), rotation })
}

fn behind(log: &Log) -> Vec<String> {
    log.state.not_renewed().map(|node| node.hostname.clone()).collect()
}

#[test]
fn settings_change_and_what_is_out_of_range_is_refused() {
    let mut log = Log::new();
    let change = |expiry, heartbeat| {
        Command::UpdateSettings(SettingsChange {
            cert_expiry_ms: expiry,
            heartbeat_ms: heartbeat,
            ..SettingsChange::default()
        })
    };
    assert_eq!(log.ask(change(Some(3_600_000), None)), Reply::Done);
    assert_eq!(log.events, [Event::DefaultsChanged]);
    let settings = log.state.cluster().unwrap().settings.clone();
    assert_eq!(settings.cert_expiry_ms, 3_600_000);
    for (expiry, heartbeat, said) in [
        (Some(3_599_999), None, "1h to 10 years"),
        (Some(1 << 40), None, "10 years"),
        (None, Some(1), "heartbeat"),
    ] {
        let refused = log.refused(change(expiry, heartbeat)).to_string();
        assert!(refused.contains(said), "{refused}");
    }
    assert_eq!(log.state.cluster().unwrap().settings, settings);
}

#[test]
fn s67_the_old_root_counts_until_every_node_has_renewed() {
    let mut log = Log::new();
    assert_eq!(log.ask(rotate(0, 1)), Reply::Done);
    let cluster = log.state.cluster().unwrap().clone();
    assert_eq!(cluster.roots(), "certificate\nroot1\n");
    assert_eq!((cluster.issuer().cert, cluster.issuer().beside), ("root1", "cross1\n"));
    let rotation = number(&log).unwrap();
    for node in 0..3 {
        assert_eq!(renewed(&mut log, node), Reply::Done);
    }
    let refused = log.refused(Command::FinishRotation { rotation });
    assert_eq!(refused, Refusal::NotRenewed(vec!["h3".to_string()]));
    // Who left for good is not waited for.
    log.ask(Command::LeaveNode { node: id(3) });
    assert_eq!(log.ask(Command::FinishRotation { rotation }), Reply::Done);
    let cluster = log.state.cluster().unwrap();
    assert_eq!((cluster.roots().as_str(), cluster.root_ca_key.as_str()), ("root1\n", "key1"));
    assert_eq!((cluster.issuer().cert, cluster.issuer().beside), ("root1", ""));
    assert_eq!(log.refused(Command::FinishRotation { rotation }), Refusal::RotationOver);
}

#[test]
fn s68_a_second_rotation_takes_the_place_of_the_first() {
    let mut log = Log::new();
    log.ask(rotate(0, 1));
    let first = number(&log).unwrap();
    for node in 0..4 {
        renewed(&mut log, node);
    }
    log.ask(rotate(0, 2));
    assert_eq!(log.refused(Command::FinishRotation { rotation: first }), Refusal::RotationOver);
    assert_eq!(
        log.refused(Command::NoteRenewed { node: id(1), rotation: first }),
        Refusal::RotationOver,
        "what it renewed under counts no more"
    );
    assert_eq!(behind(&log).len(), 4);
    assert_eq!(log.state.cluster().unwrap().roots(), "certificate\nroot2\n");
    for node in 0..4 {
        renewed(&mut log, node);
    }
    let rotation = number(&log).unwrap();
    log.ask(Command::FinishRotation { rotation });
    assert_eq!(log.state.cluster().unwrap().roots(), "root2\n");
    // Signed by a root that is gone.
    assert_eq!(log.refused(rotate(0, 3)), Refusal::RootReplaced);
    assert_eq!(log.refused(rotate(2, 2)), Refusal::SameRoot);
}

/// What they were is still listed, as what it is now.
#[test]
fn s67_tokens_and_users_of_the_old_root_are_marked_when_it_goes() {
    use super::access::{join, token, user};
    let mut log = Log::new();
    log.ask(token(1, None, None));
    log.ask(user(1, "anna"));
    log.ask(rotate(0, 1));
    // Until the old root goes, tokens name it.
    log.ask(token(2, None, None));
    assert!(log.state.tokens().all(|token| token.fault(log.now_ms).is_none()));
    // Users are issued by the new one from the beginning, and by one that comes to nothing in vain.
    log.ask(user(3, "vera"));
    log.ask(rotate(0, 2));
    log.ask(user(4, "emil"));
    let outdated =
        |log: &Log| -> Vec<bool> { log.state.users().map(|user| user.outdated_ms.is_some()).collect() };
    assert_eq!(outdated(&log), [false, true, false]);
    let rotation = number(&log).unwrap();
    (0..4).for_each(|node| drop(renewed(&mut log, node)));
    assert_eq!(log.ask(Command::FinishRotation { rotation }), Reply::Done);
    log.ask(token(3, None, None));
    log.ask(user(2, "otto"));
    let faults: Vec<_> = log.state.tokens().map(|token| token.fault(log.now_ms)).collect();
    assert_eq!(faults, [Some(TokenFault::OldRoot), Some(TokenFault::OldRoot), None]);
    assert_eq!(outdated(&log), [true, false, true, false], "anna, otto, vera, emil");
    // Its secret under the new root's name admits nobody either.
    assert_eq!(log.refused(join(20, 1)), Refusal::TokenOfOldRoot);
    assert_eq!(log.ask(Command::RevokeToken { token: id(1) }), Reply::Done);
}

/// Managers of a level below would drop the mark, and their states differ from the others'.
#[test]
fn f36_nothing_is_marked_before_every_manager_knows_the_mark() {
    let mut log = Log::new();
    let cluster = log.state.tables.cluster.as_mut().unwrap();
    alloc::sync::Arc::make_mut(cluster).feature_level = 3;
    log.ask(super::access::token(1, None, None));
    log.ask(rotate(0, 1));
    let rotation = number(&log).unwrap();
    (0..4).for_each(|node| drop(renewed(&mut log, node)));
    assert_eq!(log.ask(Command::FinishRotation { rotation }), Reply::Done);
    assert!(log.state.tokens().all(|token| token.outdated_ms.is_none()));
}

#[test]
fn f24_a_removed_node_is_not_waited_for_and_a_new_one_is() {
    let mut log = Log::new();
    log.ask(rotate(0, 1));
    log.ask(Command::RemoveNode { node: id(3), force: true });
    log.ask(Command::AdmitNode(admission(7, Role::Worker)));
    assert_eq!(behind(&log), ["h0", "h1", "h2", "h7"]);
}

proptest! {
    /// Whatever comes in which order: the root in force is one that was there before, or one that everybody had renewed to.
    #[test]
    fn no_root_goes_while_a_node_needs_it(steps in proptest::collection::vec((0u8..5, 0u64..5, 1u64..4), 1..60)) {
        let mut log = Log::new();
        for (what, node, new) in steps {
            let (before, waits) = (log.state.cluster().unwrap().clone(), !behind(&log).is_empty());
            let rotation = number(&log).unwrap_or(1);
            log.ask(match what {
                0 => {
                    let mut command = rotate(0, new);
                    if let Command::RotateRoot(asked) = &mut command {
                        asked.replaces.clone_from(&before.root_ca_cert);
                    }
                    command
                }
                1 | 2 => Command::NoteRenewed { node: id(node), rotation },
                3 => Command::AdmitNode(admission(node, Role::Worker)),
                _ => Command::FinishRotation { rotation },
            });
            let after = log.state.cluster().unwrap();
            if after.root_ca_cert != before.root_ca_cert {
                prop_assert!(!waits);
                prop_assert_eq!(&after.root_ca_cert, &before.rotation.clone().unwrap().root_ca_cert);
            }
        }
    }
}
