//! Rules for the cluster and its nodes.

use super::build::*;
use crate::*;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use swarm_model::*;

fn register(n: u64, session: u64, path: &str) -> Command {
    Command::RegisterNode(RegisterNode {
        node: id(n),
        session: id(session),
        manager: id(0),
        hostname: alloc::format!("h{n}"),
        addr: ip(path),
        data_path_addr: ip(path),
        version: "0.2.0".into(),
        features: FEATURE_LEVEL,
    })
}

fn status(n: u64, state: NodeState, session: Option<u64>) -> Command {
    Command::SetNodeStatus { node: id(n), state, message: String::new(), session: session.map(id) }
}

fn state_of(log: &Log, n: u64) -> NodeState {
    log.state.node(&id(n)).unwrap().status.state
}

#[test]
fn nothing_is_done_before_there_is_a_cluster_and_it_is_created_once() {
    let mut log = Log::default();
    assert_eq!(log.refused(network(1, spec("web"))), Refusal::NoCluster);
    log.ask(creation(settings("10.0.0.0/8", 24)));
    let ingress = log.state.resolve_network("ingress").unwrap();
    assert!(ingress.predefined);
    assert_eq!(ingress.subnets[0].cidr.to_string(), "10.0.0.0/24");
    assert_eq!(log.state.managers().len(), 1);
    assert_eq!(log.refused(creation(settings("10.0.0.0/8", 24))), Refusal::ClusterExists);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let mut log = Log::default();
    let mut wrong = settings("10.0.0.0/8", 24);
    wrong.data_path_port = 80;
    let refusal = log.refused(creation(wrong));
    assert_eq!(refusal.kind(), RefusalKind::Invalid);
    assert!(refusal.to_string().contains("not in valid range"), "{refusal}");
}

#[test]
fn an_entry_is_applied_once() {
    let mut log = Log::new();
    let entry = Entry { request: None, now_ms: 0, command: network(1, spec("web")) };
    let index = log.state.revision();
    let reply = apply(&mut log.state, index, &entry).reply;
    assert_eq!(reply, Reply::Refused(Refusal::AlreadyApplied { index, applied: index }));
    assert_eq!(log.state.networks().len(), 1);
}

#[test]
fn the_life_of_a_node() {
    use NodeState::{Disconnected, Down, Pending, Ready, Unknown};
    let mut log = Log::new();
    assert_eq!(state_of(&log, 1), Pending);
    log.ask(register(1, 1, "192.168.0.2"));
    for state in [Unknown, Ready, Unknown, Down] {
        log.ask(status(1, state, Some(1)));
        assert_eq!(state_of(&log, 1), state);
    }
    for (to, from) in [(Unknown, Down), (Pending, Down), (Disconnected, Down)] {
        assert_eq!(log.refused(status(1, to, None)), Refusal::NodeTransition { node: id(1), from, to });
    }
    log.ask(register(1, 2, "192.168.0.2"));
    assert_eq!(state_of(&log, 1), Ready);
}

#[test]
fn the_end_of_an_old_session_does_not_touch_the_new_one() {
    let mut log = Log::new();
    log.ask(register(1, 1, "192.168.0.2"));
    log.ask(register(1, 2, "192.168.0.2"));
    let late = status(1, NodeState::Unknown, Some(1));
    assert_eq!(log.refused(late), Refusal::SessionSuperseded(id(1)));
    assert_eq!(state_of(&log, 1), NodeState::Ready);
    assert_eq!(log.state.session(&id(1)).unwrap().id, id(2));
}

#[test]
fn a_node_that_left_has_no_endpoints_and_does_not_come_back() {
    let mut log = Log::new();
    log.network(1, spec("web"));
    log.attach(1, endpoint(1, 1, "a"));
    log.ask(register(1, 1, "192.168.0.2"));
    assert_eq!(log.ask(Command::LeaveNode { node: id(1) }), Reply::Done);
    assert_eq!(log.state.endpoints().len(), 0);
    assert_eq!(state_of(&log, 1), NodeState::Disconnected);
    assert_eq!(log.ask(Command::LeaveNode { node: id(1) }), Reply::Done);
    for command in [
        register(1, 2, "192.168.0.2"),
        status(1, NodeState::Ready, None),
        attach(1, vec![endpoint(2, 1, "b")]),
        Command::SetManager { node: id(1), manager: Some(manager(1, MemberState::Learner)) },
    ] {
        assert_eq!(log.refused(command), Refusal::NodeLeft(id(1)));
    }
}

#[test]
fn status_alone_concerns_no_worker_but_a_new_address_does_all() {
    let mut log = Log::new();
    log.network(1, spec("web"));
    log.attach(1, endpoint(1, 1, "a"));
    log.attach(2, endpoint(2, 1, "b"));
    log.ask(register(1, 1, "192.168.0.2"));
    assert_eq!(log.state.changes_for(&id(2), &log.events), vec![]);
    log.ask(register(1, 2, "192.168.77.7"));
    let changes = log.state.changes_for(&id(2), &log.events);
    assert!(
        matches!(&changes[..], [Change::PutPeer(peer), Change::PutMember(member)]
            if peer.data_path_addr == ip("192.168.77.7") && member.addr.ip() == ip("192.168.77.7")),
        "{changes:?}"
    );
    // It gossips with it all the same.
    let changes = log.state.changes_for(&id(3), &log.events);
    assert!(matches!(&changes[..], [Change::PutMember(member)] if member.node == id(1)), "{changes:?}");
    assert_eq!(log.state.touched(&log.events), Touched::All);
}

#[test]
fn managers_are_those_who_vote_and_a_raft_id_is_used_once() {
    let mut log = Log::new();
    log.ask(Command::AdmitNode(admission(7, Role::Manager)));
    let set = |n, info| Command::SetManager { node: id(n), manager: Some(info) };
    assert_eq!(log.refused(set(1, manager(1, MemberState::Learner))), Refusal::NotAManager(id(1)));
    assert_eq!(
        log.refused(set(7, manager(0, MemberState::Learner))),
        Refusal::RaftIdTaken { raft_id: 100, node: id(0) }
    );
    log.ask(set(7, manager(7, MemberState::Learner)));
    assert_eq!(log.state.managers().len(), 1);
    log.ask(set(7, manager(7, MemberState::Voter)));
    assert_eq!(log.state.touched(&log.events), Touched::All);
    let told = log.state.changes_for(&id(2), &log.events);
    assert_eq!(told, vec![Change::Managers(log.state.managers())]);
    assert_eq!(log.state.managers().len(), 2);
    log.ask(Command::LeaveNode { node: id(7) });
    assert_eq!(log.state.managers().len(), 1);
}

#[test]
fn one_join_makes_one_node_however_often_it_is_asked_for() {
    let mut log = Log::new();
    let join = |n| Command::AdmitNode(admission(n, Role::Worker));
    let first = log.ask_as(Some(id(5)), join(20));
    assert!(matches!(&first, Reply::Node(node) if node.id == id(20)));
    assert_eq!(log.ask_as(Some(id(5)), join(21)), first);
    assert!(log.state.node(&id(21)).is_none());
}

#[test]
fn a_reply_is_kept_for_its_time_only() {
    let mut log = Log::new();
    let join = |n| Command::AdmitNode(admission(n, Role::Worker));
    log.ask_as(Some(id(5)), join(20));
    for _ in 0..REMEMBER_MS / 60_000 {
        log.now_ms += 60_000;
        log.ask(Command::NoOp);
    }
    assert!(matches!(log.ask_as(Some(id(5)), join(21)), Reply::Node(node) if node.id == id(21)));
}

#[test]
fn secrets_are_rotated_one_by_one_and_never_printed() {
    let mut log = Log::new();
    let rotate = RotateJoinSecret { role: Role::Worker, secret: "new".repeat(8) };
    let printed = alloc::format!("{:?} {:?} {:?}", rotate, creation(settings("10.0.0.0/8", 24)), log.state);
    assert!(
        !printed.contains("newnew") && !printed.contains("mmm") && !printed.contains("\"key\""),
        "{printed}"
    );
    log.ask(Command::RotateJoinSecret(rotate));
    let secrets = &log.state.cluster().unwrap().join_secrets;
    assert_eq!((secrets.worker.as_str(), secrets.manager.as_str()), (&*"new".repeat(8), &*"m".repeat(25)));
}

#[test]
fn nodes_are_found_by_id_host_name_and_unique_prefix() {
    let mut log = Log::new();
    let mut twin = admission(0, Role::Worker);
    twin.node = "1000000000000000000000000".parse().unwrap();
    twin.hostname = "h1".into();
    log.ask(Command::AdmitNode(twin.clone()));
    let find = |log: &Log, reference: &str| log.state.resolve_node(reference).map(|node| node.id);
    assert_eq!(find(&log, "0000000000000000000000002"), Ok(id(2)));
    assert_eq!(find(&log, "h3"), Ok(id(3)));
    assert_eq!(find(&log, "1"), Ok(twin.node));
    assert!(matches!(find(&log, "00"), Err(Refusal::AmbiguousNode { matches: 4, .. })));
    // One that has left is named as that: what to do about it is not what to do about the other.
    log.ask(Command::LeaveNode { node: id(1) });
    let said = find(&log, "h1").unwrap_err();
    let (kind, said) = (said.kind(), said.to_string());
    for fact in [
        "h1 is ambiguous (2 matches)",
        id::<Node>(1).as_str(),
        "node rm 0000000000000000000000001",
        twin.node.as_str(),
    ] {
        assert!(said.contains(fact), "{said}");
    }
    assert_eq!(kind, RefusalKind::Ambiguous);
    for nobody in ["", "h9", "2", "é", "00000000000000000000000000001"] {
        assert_eq!(find(&log, nobody), Err(Refusal::NodeNotFound(nobody.into())));
    }
}

#[test]
fn what_a_node_does_not_hold_is_released_unless_it_was_asked_for_meanwhile() {
    let mut log = Log::new();
    log.network(1, spec("web"));
    log.attach(1, endpoint(1, 1, "kept"));
    log.attach(1, endpoint(2, 1, "forgotten"));
    log.attach(2, endpoint(3, 1, "elsewhere"));
    let began = log.state.revision();
    log.attach(1, endpoint(4, 1, "meanwhile"));
    let found = log.state.endpoints_not_held(&id(1), &[id(1)].into(), began);
    assert_eq!(found, Vec::from([id(2)]));
}
