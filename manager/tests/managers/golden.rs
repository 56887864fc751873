//! What a cluster says in its log, its snapshots and its messages, written down for each feature level: later releases
//! must read it. Knows the files; must not know what is checked.

use prost::Message;
use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use swarm_model::*;
use swarm_proto::v1;
use swarm_state::*;

/// One line of a level's log: the command's name, the entry and the reply as they were written.
pub struct Logged {
    pub verb: String,
    pub entry: Vec<u8>,
    pub reply: Vec<u8>,
}

pub struct Golden {
    pub log: Vec<Logged>,
    pub snapshot: Vec<u8>,
    /// Names of message types, and messages.
    pub messages: Vec<(String, Vec<u8>)>,
}

fn dir(level: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/level-{level}"))
}

pub fn exists(level: u32) -> bool {
    dir(level).exists()
}

pub fn read(level: u32) -> Golden {
    let text = |name: &str| fs::read_to_string(dir(level).join(name)).unwrap();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let log = text("log.txt");
    let log = log.lines().map(words).map(|w| Logged {
        verb: w[0].clone(),
        entry: from_hex(&w[1]),
        reply: from_hex(&w[2]),
    });
    let messages = text("messages.txt");
    let messages = messages.lines().map(words).map(|w| (w[0].clone(), from_hex(&w[1])));
    Golden {
        log: log.collect(),
        snapshot: from_hex(text("snapshot.txt").trim()),
        messages: messages.collect(),
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub fn pack<T: serde::Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

/// Writes today's level down.
pub fn write() {
    let dir = dir(FEATURE_LEVEL);
    fs::create_dir_all(&dir).unwrap();
    let mut state = State::default();
    let mut log = String::new();
    for (index, command) in (1u64..).zip(commands()) {
        let verb = command.verb();
        let request = index.is_multiple_of(2).then(|| id(300 + index));
        let entry = Entry { request, now_ms: 1_700_000_000_000 + index * 1_000, command };
        let reply = apply(&mut state, index, &entry).reply;
        writeln!(log, "{verb:?} {} {}", hex(&pack(&entry)), hex(&pack(&reply))).unwrap();
    }
    let messages: String =
        messages(&state).iter().map(|(name, bytes)| format!("{name} {}\n", hex(bytes))).collect();
    fs::write(dir.join("log.txt"), log).unwrap();
    fs::write(dir.join("snapshot.txt"), format!("{}\n", hex(&pack(&state.snapshot())))).unwrap();
    fs::write(dir.join("messages.txt"), messages).unwrap();
}

pub fn id<K>(n: u64) -> Id<K> {
    format!("{n:0>25}").parse().unwrap()
}

fn admission(n: u64, role: Role) -> AdmitNode {
    let addr = IpAddr::from([192, 0, 2, n as u8]);
    AdmitNode {
        node: id(n),
        hostname: format!("h{n}"),
        role,
        availability: Availability::Active,
        labels: [("zone".to_owned(), format!("z{n}"))].into(),
        addr,
        data_path_addr: addr,
        version: "0.1.0".to_owned(),
        features: FEATURE_LEVEL,
    }
}

fn place(n: u64) -> ManagerInfo {
    let addr = format!("192.0.2.{n}:2377").parse().unwrap();
    ManagerInfo { raft_id: 100 + n, addr, member: MemberState::Voter }
}

pub fn register(n: u64) -> Command {
    let AdmitNode { node, hostname, addr, data_path_addr, version, features, .. } =
        admission(n, Role::Worker);
    let (session, manager) = (id(200 + n), id(1));
    Command::RegisterNode(RegisterNode {
        node,
        session,
        manager,
        hostname,
        addr,
        data_path_addr,
        version,
        features,
    })
}

fn creation() -> Command {
    Command::CreateCluster(Box::new(CreateCluster {
        cluster: id(1),
        settings: ClusterSettings {
            default_addr_pools: vec!["10.0.0.0/8".parse().unwrap()],
            subnet_prefix: 24,
            ipv6_pool: "fd12:3456:789a::/48".parse().unwrap(),
            data_path_port: 4789,
            cert_expiry_ms: 7_776_000_000,
            heartbeat_ms: 1_500,
            snapshot_interval: 1_000,
            max_snapshots: 0,
            autolock: false,
            cert_grace_ms: ClusterSettings::DEFAULT_CERT_GRACE_MS,
            key_rotation_ms: ClusterSettings::DEFAULT_KEY_ROTATION_MS,
        },
        join_secrets: JoinSecrets { worker: "w".repeat(25), manager: "m".repeat(25) },
        root_ca_cert: "certificate".to_owned(),
        root_ca_key: "key".to_owned(),
        first: admission(1, Role::Manager),
        manager: place(1),
        ingress: id(999),
        avoid: vec!["192.0.2.0/24".parse().unwrap()],
        feature_level: FEATURE_LEVEL,
    }))
}

fn network(n: u64, name: &str, ipam: Vec<IpamConfig>) -> Command {
    let spec = NetworkSpec {
        name: name.parse().unwrap(),
        driver: Driver::Overlay,
        attachable: true,
        internal: false,
        ipv6: true,
        encrypted: false,
        mtu: Some(1400),
        vni: None,
        ipam,
        options: [("a".to_owned(), "b".to_owned())].into(),
        labels: [("c".to_owned(), "d".to_owned())].into(),
    };
    Command::CreateNetwork(CreateNetwork { id: id(n), spec, avoid: Vec::new() })
}

fn ipam() -> Vec<IpamConfig> {
    vec![IpamConfig {
        subnet: Some("10.7.0.0/16".parse().unwrap()),
        gateway: Some("10.7.0.9".parse().unwrap()),
        ip_range: Some("10.7.1.0/24".parse().unwrap()),
        aux_addresses: [("router".to_owned(), "10.7.1.5".parse().unwrap())].into(),
    }]
}

fn endpoint(n: u64, network: u64) -> NewEndpoint {
    NewEndpoint {
        id: id(n),
        network: id(network),
        sandbox: id(n),
        name: format!("e{n}").parse().unwrap(),
        aliases: vec!["web".parse().unwrap()],
        ip: None,
        mac: None,
    }
}

/// Every command at least once; some are refused.
fn commands() -> Vec<Command> {
    let attach = |node, endpoints| Command::CreateEndpoints(CreateEndpoints { node: id(node), endpoints });
    let lost = Command::SetNodeStatus {
        node: id(3),
        state: NodeState::Unknown,
        message: "silent".to_owned(),
        session: Some(id(203)),
    };
    let update = NodeUpdate {
        availability: Some(Availability::Drain),
        labels_add: [("disk".to_owned(), "ssd".to_owned())].into(),
        ..NodeUpdate::default()
    };
    vec![
        Command::NoOp,
        creation(),
        Command::RotateJoinSecret(RotateJoinSecret { role: Role::Worker, secret: "x".repeat(25) }),
        Command::AdmitNode(admission(2, Role::Manager)),
        Command::AdmitNode(admission(3, Role::Worker)),
        Command::AdmitNode(admission(4, Role::Worker)),
        Command::AdmitNode(admission(5, Role::Worker)),
        register(1),
        register(2),
        register(3),
        register(4),
        Command::SetManager { node: id(2), manager: Some(place(2)) },
        lost,
        register(3),
        network(11, "first", ipam()),
        network(12, "overlaps", ipam()),
        network(13, "second", Vec::new()),
        attach(3, vec![endpoint(21, 11), endpoint(22, 13)]),
        attach(4, vec![endpoint(23, 11)]),
        Command::ReleaseEndpoints { node: id(3), endpoints: vec![id(22)] },
        Command::RemoveNetwork { network: id(11) },
        Command::PruneNetworks,
        Command::LeaveNode { node: id(4) },
        Command::UpdateNode(UpdateNode { node: id(3), update, if_revision: None }),
        Command::RemoveNode { node: id(5), force: true },
        Command::SetFeatureLevel {
            level: FEATURE_LEVEL,
            settled: Some(Settled {
                epoch: Epoch::default(),
                features: (1..=4).map(|n| (id(n), FEATURE_LEVEL)).collect(),
                past: Vec::new(),
            }),
        },
        network(14, "third", Vec::new()),
        Command::ReplaceManagers(Box::new(ReplaceManagers {
            survivor: admission(1, Role::Manager),
            manager: ManagerInfo { raft_id: 777, ..place(1) },
            drawn: 7,
        })),
    ]
}

fn messages(state: &State) -> Vec<(&'static str, Vec<u8>)> {
    use v1::worker_message::Message::{Heartbeat, Programmed, Register};
    let worker = |message| v1::WorkerMessage { message: Some(message) }.encode_to_vec();
    let registration = v1::Register {
        hostname: "h3".to_owned(),
        addr: "192.0.2.3".to_owned(),
        data_path_addr: "192.0.2.3".to_owned(),
        version: "0.1.0".to_owned(),
        held: vec![id::<Endpoint>(21).to_string()],
        revision: 20,
        features: FEATURE_LEVEL,
        ..v1::Register::default()
    };
    let issue = v1::IssueRequest {
        token: "SWMTKN-1-a-b".to_owned(),
        csr_der: vec![1, 2, 3],
        hostname: "h5".to_owned(),
        version: "0.1.0".to_owned(),
        request_id: id::<Node>(7).to_string(),
        addr: "192.0.2.5".to_owned(),
        data_path_addr: "192.0.2.5".to_owned(),
        features: FEATURE_LEVEL,
        ..v1::IssueRequest::default()
    };
    let propose = v1::ProposeRequest {
        method: "Control/PruneNetworks".to_owned(),
        request_id: id::<Node>(8).to_string(),
        command: pack(&Command::PruneNetworks),
    };
    let assigned = state.assigned(&id(3));
    vec![
        ("WorkerMessage", worker(Register(registration))),
        ("WorkerMessage", worker(Heartbeat(v1::Heartbeat {}))),
        ("WorkerMessage", worker(Programmed(v1::Programmed { revision: 20 }))),
        ("ManagerMessage", v1::ManagerMessage::from(&Assignment::Complete(assigned.clone())).encode_to_vec()),
        ("ManagerMessage", v1::ManagerMessage::from(&every_change(&assigned)).encode_to_vec()),
        ("IssueRequest", issue.encode_to_vec()),
        ("ProposeRequest", propose.encode_to_vec()),
    ]
}

fn every_change(assigned: &Assigned) -> Assignment {
    let network = assigned.networks.values().next().unwrap();
    let endpoint = assigned.endpoints.values().next().unwrap();
    let peer = assigned.peers.values().next().unwrap();
    let changes = vec![
        Change::PutNetwork(network.clone()),
        Change::DropNetwork(network.id),
        Change::PutEndpoint(endpoint.clone()),
        Change::DropEndpoint(endpoint.id),
        Change::PutPeer(peer.clone()),
        Change::DropPeer(peer.node),
        Change::Managers(assigned.managers.clone()),
        Change::Defaults(assigned.defaults.clone()),
        Change::Role(Role::Worker),
    ];
    Assignment::Incremental { applies_to: assigned.revision, results_in: assigned.revision + 1, changes }
}
