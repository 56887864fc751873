//! Rules for what operators do to nodes: promotion, demotion, labels, removal, and a cluster that goes on with one manager.

use super::build::*;
use crate::*;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use swarm_model::*;

fn update(n: u64, update: NodeUpdate) -> Command {
    Command::UpdateNode(UpdateNode { node: id(n), update, if_revision: None })
}

fn role(n: u64, role: Role) -> Command {
    update(n, NodeUpdate { role: Some(role), ..NodeUpdate::default() })
}

fn label(n: u64, key: &str, value: &str, if_revision: Option<u64>) -> Command {
    let labels_add = [(key.to_string(), value.to_string())].into();
    let update = NodeUpdate { labels_add, ..NodeUpdate::default() };
    Command::UpdateNode(UpdateNode { node: id(n), update, if_revision })
}

fn ready(log: &mut Log, n: u64) {
    let AdmitNode { node, hostname, addr, data_path_addr, version, features, .. } =
        admission(n, Role::Worker);
    let (session, manager) = (id(n), id(0));
    log.ask(Command::RegisterNode(RegisterNode {
        node,
        session,
        manager,
        hostname,
        addr,
        data_path_addr,
        version,
        features,
    }));
}

fn down(log: &mut Log, n: u64) {
    for state in [NodeState::Unknown, NodeState::Down] {
        log.ask(Command::SetNodeStatus { node: id(n), state, message: String::new(), session: None });
    }
}

/// The nodes 0 to `managers - 1` vote and are ready.
fn cluster(managers: u64) -> Log {
    let mut log = Log::new();
    ready(&mut log, 0);
    for n in 1..managers {
        if n > 3 {
            log.ask(Command::AdmitNode(admission(n, Role::Worker)));
        }
        ready(&mut log, n);
        log.ask(role(n, Role::Manager));
        log.ask(Command::SetManager { node: id(n), manager: Some(manager(n, MemberState::Voter)) });
    }
    log
}

#[test]
fn a_promoted_node_is_told_so_and_nobody_else_is() {
    let mut log = Log::new();
    let Reply::Node(node) = log.ask(role(1, Role::Manager)) else { panic!() };
    assert_eq!((node.role, node.revision), (Role::Manager, log.state.revision()));
    assert_eq!(log.state.touched(&log.events), Touched::Nodes([id(1)].into()));
    assert_eq!(log.state.changes_for(&id(1), &log.events), vec![Change::Role(Role::Manager)]);
    assert_eq!(log.state.changes_for(&id(2), &log.events), vec![]);
    assert_eq!(log.state.assigned(&id(1)).role, Some(Role::Manager));
    let before = log.state.node(&id(1)).cloned();
    log.ask(role(1, Role::Manager));
    assert!(log.events.is_empty() && log.state.node(&id(1)).cloned() == before);
}

#[test]
fn the_last_manager_is_not_demoted() {
    let mut log = cluster(1);
    assert_eq!(log.refused(role(0, Role::Worker)), Refusal::LastManager("h0".into()));
    // One that is to become a manager and never came into Raft decides nothing.
    log.ask(role(1, Role::Manager));
    assert_eq!(log.refused(role(0, Role::Worker)), Refusal::LastManager("h0".into()));
    log.ask(role(1, Role::Worker));
}

#[test]
fn of_two_demotions_at_once_one_passes() {
    let mut log = cluster(2);
    log.ask(role(1, Role::Worker));
    assert_eq!(log.refused(role(0, Role::Worker)), Refusal::LastManager("h0".into()));
}

#[test]
fn a_demotion_that_costs_the_quorum_is_refused_and_names_who_is_away() {
    let mut log = cluster(3);
    down(&mut log, 2);
    let refusal = log.refused(role(1, Role::Worker));
    let away = vec![String::from("h2")];
    let expected = Refusal::QuorumAtRisk { host: "h1".into(), left: 2, ready: 1, needed: 2, away };
    assert_eq!(refusal, expected);
    assert!(refusal.to_string().contains("bring back or demote h2"), "{refusal}");
    // The one that is away may go: the others decide without it.
    log.ask(role(2, Role::Worker));
}

#[test]
fn labels_are_compared_and_set() {
    let mut log = Log::new();
    let seen = log.state.node(&id(1)).unwrap().revision;
    log.ask(label(1, "zone", "a", Some(seen)));
    let found = log.state.node(&id(1)).unwrap().revision;
    let stale = Refusal::NodeChanged { host: "h1".into(), expected: seen, found };
    assert_eq!(log.refused(label(1, "zone", "b", Some(seen))), stale);
    log.ask(label(1, "zone", "b", Some(found)));
    assert_eq!(log.state.node(&id(1)).unwrap().labels["zone"], "b");
    let gone = NodeUpdate { labels_remove: vec!["disk".into()], ..NodeUpdate::default() };
    let missing = Refusal::LabelNotFound { host: "h1".into(), label: "disk".into() };
    assert_eq!(log.refused(update(1, gone)), missing);
}

#[test]
fn a_drained_node_takes_no_new_endpoints_and_keeps_those_it_has() {
    let mut log = Log::new();
    log.network(1, spec("web"));
    log.attach(1, endpoint(1, 1, "a"));
    log.ask(update(1, NodeUpdate { availability: Some(Availability::Drain), ..NodeUpdate::default() }));
    let refused = log.refused(attach(1, vec![endpoint(2, 1, "b")]));
    assert!(matches!(refused, Refusal::NodeUnavailable { .. }), "{refused}");
    assert_eq!(log.state.endpoints_of(&id(1)).count(), 1);
    log.ask(update(1, NodeUpdate { availability: Some(Availability::Active), ..NodeUpdate::default() }));
    log.attach(1, endpoint(2, 1, "b"));
}

#[test]
fn a_node_is_removed_when_it_is_down_or_by_force_and_never_as_a_manager() {
    let mut log = cluster(2);
    let remove = |n, force| Command::RemoveNode { node: id(n), force };
    log.network(1, spec("web"));
    ready(&mut log, 2);
    log.attach(2, endpoint(1, 1, "a"));
    assert_eq!(log.refused(remove(2, false)), Refusal::NodeNotDown("h2".into()));
    assert_eq!(log.refused(remove(1, true)), Refusal::NodeIsManager("h1".into()));
    // On its way out of the managers, but still in Raft.
    log.ask(role(1, Role::Worker));
    assert_eq!(log.refused(remove(1, true)), Refusal::NodeIsManager("h1".into()));
    log.ask(remove(2, true));
    assert!(log.events.contains(&Event::NodeRemoved(id(2))));
    assert_eq!((log.state.node(&id(2)), log.state.endpoints().len()), (None, 0));
    assert_eq!(log.refused(remove(2, true)).kind(), RefusalKind::NotFound);
    ready(&mut log, 3);
    down(&mut log, 3);
    log.ask(remove(3, false));
}

#[test]
fn a_cluster_goes_on_with_one_manager_in_a_new_epoch() {
    let mut log = cluster(3);
    log.network(1, spec("web"));
    log.attach(1, endpoint(1, 1, "a"));
    let survivor = AdmitNode { addr: ip("192.168.5.5"), ..admission(2, Role::Manager) };
    let replace = ReplaceManagers { survivor, manager: manager(9, MemberState::Voter), drawn: 7 };
    let before = log.state.cluster().unwrap().lineage();
    log.ask(Command::ReplaceManagers(Box::new(replace)));
    let peer = ManagerPeer { node: id(2), addr: "192.168.9.9:2377".parse().unwrap() };
    assert_eq!(log.state.managers(), vec![peer]);
    let alone = log.state.cluster().unwrap().lineage();
    assert_eq!((alone.epoch.number(), before.sees(&alone)), (1, Kin::Later));
    assert_eq!(log.state.assigned(&id(3)).defaults.lineage, alone);
    for n in [0, 1] {
        let node = log.state.node(&id(n)).unwrap();
        assert_eq!((node.role, node.status.state), (Role::Worker, NodeState::Down));
    }
    assert_eq!((log.state.networks().len(), log.state.endpoints().len()), (2, 1));
    // From a backup, on a host that was no member.
    let elsewhere = ReplaceManagers {
        survivor: admission(7, Role::Manager),
        manager: manager(10, MemberState::Voter),
        drawn: 8,
    };
    log.ask(Command::ReplaceManagers(Box::new(elsewhere)));
    assert_eq!(log.state.cluster().unwrap().epoch.number(), 2);
    assert_eq!(log.state.managers()[0].node, id(7));
}

/// Nobody has a session with who is left, and a backup may be a week old.
#[test]
fn who_was_ready_before_a_recovery_is_in_doubt_until_heard() {
    let mut log = cluster(2);
    ready(&mut log, 2);
    let replace = |drawn| {
        let (survivor, manager) =
            (admission(1, Role::Manager), manager(9 + u64::from(drawn), MemberState::Voter));
        Command::ReplaceManagers(Box::new(ReplaceManagers { survivor, manager, drawn }))
    };
    let state = |log: &Log, n| log.state.node(&id(n)).unwrap().status.state;
    // As the release applied it that drew nothing.
    log.ask(replace(0));
    assert_eq!(state(&log, 2), NodeState::Ready);
    log.ask(replace(7));
    assert_eq!(
        [0, 1, 2, 3].map(|n| state(&log, n)),
        [NodeState::Down, NodeState::Ready, NodeState::Unknown, NodeState::Pending]
    );
    ready(&mut log, 2);
    assert_eq!(state(&log, 2), NodeState::Ready);
}

#[test]
fn a_promotion_is_named_by_its_id_where_the_name_means_two() {
    let mut log = cluster(2);
    let advice = |log: &Log| log.state.losses(|_| crate::losses::Presence::Heard).warnings().join("\n");
    ready(&mut log, 3);
    assert!(advice(&log).contains("node promote h3`"), "{}", advice(&log));
    // It left, and its host joined anew.
    log.ask(Command::LeaveNode { node: id(3) });
    log.ask(Command::AdmitNode(AdmitNode { hostname: "h3".into(), ..admission(5, Role::Worker) }));
    ready(&mut log, 5);
    let renamed = AdmitNode { hostname: "h3".into(), ..admission(5, Role::Worker) };
    let AdmitNode { node, hostname, addr, data_path_addr, version, features, .. } = renamed;
    let (session, manager) = (id(55), id(0));
    let register = RegisterNode { node, session, manager, hostname, addr, data_path_addr, version, features };
    log.ask(Command::RegisterNode(register));
    assert!(advice(&log).contains(&alloc::format!("node promote {}`", id::<Node>(5))), "{}", advice(&log));
}

#[test]
fn the_level_rises_when_every_voter_knows_it_and_keeps_old_managers_out() {
    let mut log = cluster(2);
    let old = AdmitNode { features: 1, ..admission(9, Role::Manager) };
    let too_old = Refusal::TooOld { host: "h9".into(), features: 1, needed: FEATURE_LEVEL };
    assert_eq!(log.refused(Command::AdmitNode(old.clone())), too_old);
    log.ask(Command::AdmitNode(AdmitNode { role: Role::Worker, ..old }));
    assert_eq!(log.refused(role(9, Role::Manager)), too_old);
    let next = FEATURE_LEVEL + 1;
    let refused = log.refused(Command::SetFeatureLevel { level: next, settled: None });
    assert!(matches!(refused, Refusal::TooOld { needed, .. } if needed == next));
    assert_eq!(log.ask(Command::SetFeatureLevel { level: 1, settled: None }), Reply::Done);
    assert_eq!(log.state.cluster().unwrap().feature_level, FEATURE_LEVEL);
}

/// Or it would be made a voter a moment later, and could not read what is in the log by then.
#[test]
fn the_level_does_not_rise_past_a_manager_that_is_on_its_way_into_raft() {
    let mut log = cluster(2);
    let next = FEATURE_LEVEL + 1;
    for n in 0..2 {
        let AdmitNode { node, hostname, addr, data_path_addr, version, .. } = admission(n, Role::Manager);
        let (session, manager) = (SessionId::from_random([n as u8 + 50; 16]), node);
        let features = next;
        let register =
            RegisterNode { node, session, manager, hostname, addr, data_path_addr, version, features };
        log.ask(Command::RegisterNode(register));
    }
    log.ask(Command::AdmitNode(admission(9, Role::Manager)));
    let refused = log.refused(Command::SetFeatureLevel { level: next, settled: None });
    assert_eq!(refused, Refusal::TooOld { host: "h9".into(), features: FEATURE_LEVEL, needed: next });
    log.ask(role(9, Role::Worker));
    assert_eq!(log.ask(Command::SetFeatureLevel { level: next, settled: None }), Reply::Done);
    assert_eq!(log.state.cluster().unwrap().feature_level, next);
}
