//! Small clusters as values, for the tests of what the leader decides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use swarm_model::{
    Availability, ClusterId, ClusterSettings, FEATURE_LEVEL, JoinSecrets, Labels, ManagerInfo, MemberState,
    Node, NodeId, NodeState, NodeStatus, Role, SessionId,
};
use swarm_raft::{Member, Status};
use swarm_state::{AdmitNode, Command, CreateCluster, Entry, RegisterNode, Reply, State};

pub fn node_id(number: u8) -> NodeId {
    NodeId::from_random([number; 16])
}

pub fn addr(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 2377))
}

/// The record of a worker, as it joined.
pub fn worker(number: u8, state: NodeState) -> Node {
    Node {
        id: node_id(number),
        hostname: format!("h{number}"),
        role: Role::Worker,
        availability: Availability::Active,
        labels: Labels::new(),
        addr: addr(number).ip(),
        data_path_addr: addr(number).ip(),
        version: "1".to_owned(),
        status: NodeStatus { state, message: String::new(), since_ms: 0 },
        manager: None,
        joined_ms: 0,
        revision: 0,
        features: 0,
        incarnation: None,
    }
}

/// Raft with these nodes as voters under their own numbers; this manager is 1 and leads.
pub fn status(voters: &[u8]) -> Status {
    let member = |number: &u8| {
        (u64::from(*number), Member { node: node_id(*number).to_string(), addr: addr(*number) })
    };
    Status {
        id: 1,
        term: 1,
        leader: None,
        role: swarm_raft::Role::Leader,
        applied: 1,
        last_index: 1,
        last_term: 1,
        voters: voters.iter().map(member).collect(),
        learners: BTreeMap::new(),
        heard: BTreeSet::new(),
        stopped: None,
    }
}

pub fn apply(state: &mut State, command: Command) {
    let index = state.revision() + 1;
    let reply = swarm_state::apply(state, index, &Entry { request: None, now_ms: 1, command }).reply;
    assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
}

/// A cluster whose nodes are these managers, ready and on record as voters.
pub fn with_managers(numbers: &[u8]) -> State {
    let newest: Vec<(u8, u32)> = numbers.iter().map(|number| (*number, FEATURE_LEVEL)).collect();
    of_level(FEATURE_LEVEL, &newest)
}

/// As `with_managers`, of a cluster of this feature level and managers of these.
pub fn of_level(level: u32, managers: &[(u8, u32)]) -> State {
    let mut state = State::default();
    let (first, others) = managers.split_first().unwrap();
    apply(&mut state, creation(first.0, level));
    ready(&mut state, *first);
    for (number, features) in others {
        apply(&mut state, Command::AdmitNode(admission(*number)));
        ready(&mut state, (*number, *features));
        apply(&mut state, Command::SetManager { node: node_id(*number), manager: Some(place(*number)) });
    }
    state
}

fn creation(first: u8, feature_level: u32) -> Command {
    Command::CreateCluster(Box::new(CreateCluster {
        cluster: ClusterId::from_random([0; 16]),
        settings: ClusterSettings {
            snapshot_interval: 1_000,
            ..ClusterSettings::with_defaults(
                vec!["10.0.0.0/8".parse().unwrap()],
                "fd00::/48".parse().unwrap(),
            )
        },
        join_secrets: JoinSecrets { worker: String::new(), manager: String::new() },
        root_ca_cert: String::new(),
        root_ca_key: String::new(),
        first: admission(first),
        manager: place(first),
        ingress: swarm_model::NetworkId::from_random([0; 16]),
        avoid: Vec::new(),
        feature_level,
    }))
}

fn admission(number: u8) -> AdmitNode {
    AdmitNode {
        node: node_id(number),
        hostname: format!("n{number}"),
        role: Role::Manager,
        availability: Availability::Active,
        labels: Labels::new(),
        addr: addr(number).ip(),
        data_path_addr: addr(number).ip(),
        version: String::new(),
        features: FEATURE_LEVEL,
    }
}

fn ready(state: &mut State, (number, features): (u8, u32)) {
    let AdmitNode { node, hostname, addr, data_path_addr, version, .. } = admission(number);
    let (session, manager) = (SessionId::from_random([number; 16]), node);
    apply(
        state,
        Command::RegisterNode(RegisterNode {
            node,
            session,
            manager,
            hostname,
            addr,
            data_path_addr,
            version,
            features,
        }),
    );
}

fn place(number: u8) -> ManagerInfo {
    ManagerInfo { raft_id: number.into(), addr: addr(number), member: MemberState::Voter }
}
