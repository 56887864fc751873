//! Join tokens made to order, and users.

use super::build::*;
use crate::*;
use alloc::vec::Vec;
use proptest::prelude::*;
use swarm_model::{IssuedToken, Labels, Role, UserRole};

const HOUR: u64 = 3_600_000;

pub fn token(n: u64, uses: Option<u32>, expires_ms: Option<u64>) -> Command {
    let labels = Labels::from([("rack".into(), "r1".into())]);
    let (digest, role) = ([n as u8; 32], Role::Worker);
    Command::CreateToken(CreateToken { token: id(n), role, digest, labels, uses, expires_ms })
}

pub fn join(n: u64, token: u64) -> Command {
    Command::AdmitByToken(AdmitByToken { token: id(token), admit: admission(n, Role::Worker) })
}

pub fn user(n: u64, name: &str) -> Command {
    Command::CreateUser(CreateUser {
        user: id(n),
        name: name.into(),
        role: UserRole::Operator,
        expires_ms: u64::MAX,
    })
}

fn only_token(log: &Log) -> &IssuedToken {
    log.state.tokens().next().unwrap()
}

#[test]
fn b6_uses_are_counted_and_the_last_is_given_once() {
    let mut log = Log::new();
    log.ask(token(1, Some(2), None));
    assert!(matches!(log.ask(join(10, 1)), Reply::Node(node) if node.labels["rack"] == "r1"));
    // Asked again, the same request is the same use.
    let again = Some(id(77));
    assert_eq!(log.ask_as(again, join(11, 1)), log.ask_as(again, join(11, 1)));
    assert_eq!(log.refused(join(12, 1)), Refusal::TokenUsedUp { uses: 2 });
    assert!(log.state.node(&id(12)).is_none());
    let names: Vec<&str> = only_token(&log).used_by.iter().map(|by| by.hostname.as_str()).collect();
    assert_eq!((only_token(&log).used, names), (2, ["h10", "h11"].into()));
}

#[test]
fn b6_expired_revoked_and_unknown_tokens_are_told_apart() {
    let mut log = Log::new();
    let end = log.now_ms + HOUR;
    log.ask(token(1, None, Some(end)));
    log.ask(token(2, None, None));
    log.ask(join(10, 1));
    log.now_ms = end;
    assert!(matches!(log.refused(join(11, 1)), Refusal::TokenExpired { .. }));
    assert_eq!(log.ask(Command::RevokeToken { token: id(2) }), Reply::Done);
    assert_eq!(log.ask(Command::RevokeToken { token: id(2) }), Reply::Done);
    assert_eq!(log.refused(join(11, 2)), Refusal::TokenRevoked);
    assert!(matches!(log.refused(join(11, 3)), Refusal::TokenNotFound(_)));
    for refusal in
        [Refusal::TokenRevoked, Refusal::TokenUsedUp { uses: 1 }, Refusal::TokenExpired { since_ms: 1 }]
    {
        assert_eq!(refusal.kind(), RefusalKind::Denied);
    }
}

#[test]
fn a_refused_node_costs_no_use() {
    let mut log = Log::new();
    log.ask(token(1, Some(1), None));
    assert!(matches!(log.refused(join(1, 1)), Refusal::NodeExists(_)));
    assert_eq!(only_token(&log).used, 0);
    log.ask(join(10, 1));
}

#[test]
fn the_role_is_the_tokens() {
    let mut log = Log::new();
    log.ask(token(1, None, None));
    let admit = AdmitByToken { token: id(1), admit: admission(10, Role::Manager) };
    assert!(matches!(log.ask(Command::AdmitByToken(admit)), Reply::Node(node) if node.role == Role::Worker));
}

#[test]
fn tokens_that_ended_long_ago_make_room_and_others_do_not() {
    let mut log = Log::new();
    let end = log.now_ms + HOUR;
    for n in 0..MAX_TOKENS as u64 {
        log.ask_unchecked(None, token(n, None, Some(end)));
    }
    assert!(matches!(log.refused(token(5000, None, None)), Refusal::Limit { .. }));
    log.now_ms = end + HOUR;
    assert!(matches!(log.refused(token(5000, None, None)), Refusal::Limit { .. }));
    log.now_ms = end + 8 * 24 * HOUR;
    assert!(matches!(log.ask(token(5000, None, None)), Reply::Token(_)));
    assert_eq!(log.state.tokens().len(), 1);
}

#[test]
fn users_have_names_of_their_own() {
    let mut log = Log::new();
    assert!(matches!(log.ask(user(1, "anna")), Reply::User(_)));
    assert_eq!(log.refused(user(2, "anna")), Refusal::UserNameTaken("anna".into()));
    assert_eq!(log.refused(user(1, "berta")), Refusal::UserExists(id(1)));
    for bad in ["", "a b", "-a", "a\n", "ü", &"a".repeat(64)] {
        assert!(matches!(log.refused(user(3, bad)), Refusal::Invalid(_)), "{bad:?}");
    }
    assert_eq!(log.state.resolve_user("anna").map(|user| user.id), Ok(id(1)));
    assert_eq!(log.ask(Command::RemoveUser { user: id(1) }), Reply::Done);
    assert!(matches!(log.refused(Command::RemoveUser { user: id(1) }), Refusal::UserNotFound(_)));
    assert!(log.state.user(&id(1)).is_none());
}

/// One step of many who use, revoke and make tokens while the clock jumps.
fn steps() -> impl Strategy<Value = Vec<(u64, Command)>> {
    let step = prop_oneof![
        2 => (0u64..3, proptest::option::of(0u32..3), proptest::option::of(0u64..100))
            .prop_map(|(n, uses, end)| token(n, uses, end)),
        8 => (10u64..60, 0u64..3).prop_map(|(n, by)| join(n, by)),
        1 => (0u64..3).prop_map(|n| Command::RevokeToken { token: id(n) }),
        1 => (0u64..3, 0u8..3).prop_map(|(n, name)| user(n, &alloc::format!("u{name}"))),
        1 => (0u64..3).prop_map(|n| Command::RemoveUser { user: id(n) }),
    ];
    proptest::collection::vec((0u64..120, step), 1..60)
}

proptest! {
    /// Whatever the order: as many nodes as uses, none after the end, none after the revocation.
    #[test]
    fn no_token_admits_more_than_it_may(steps in steps()) {
        let mut log = Log::new();
        for (now_ms, command) in steps {
            log.now_ms = now_ms;
            let before = log.state.clone();
            let reply = log.ask(command.clone());
            let Command::AdmitByToken(by) = &command else { continue };
            let Ok(token) = before.resolve_token(by.token.as_str()) else {
                prop_assert!(matches!(reply, Reply::Refused(_)));
                continue;
            };
            let used = log.state.resolve_token(by.token.as_str()).map(|token| token.used);
            match reply {
                Reply::Node(_) => {
                    prop_assert!(token.revoked_ms.is_none() && token.expires_ms.is_none_or(|end| now_ms < end));
                    prop_assert!(token.uses.is_none_or(|uses| token.used < uses));
                    prop_assert_eq!(used, Ok(token.used + 1));
                }
                _ => prop_assert_eq!(used, Ok(token.used)),
            }
        }
    }
}
