//! The cluster that the stage set tells of.

use std::collections::BTreeMap;
use swarm_proto::v1;

pub const OWN: &str = "0own0node0000000000000001";
const WEB: &str = "1web0node0000000000000002";
const DOWN: &str = "2down0node000000000000003";
const NETWORK: &str = "5network00000000000000001";
pub const WARNING: &str = "the loss of zone a would lose the quorum: mended by promotion";
const EPOCH_MS: u64 = 1_790_000_000_000;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn node(id: &str, hostname: &str, octet: u8) -> v1::Node {
    v1::Node {
        id: id.into(),
        hostname: hostname.into(),
        role: v1::Role::Worker.into(),
        availability: v1::Availability::Active.into(),
        addr: format!("192.0.2.{octet}"),
        data_path_addr: format!("198.51.100.{octet}"),
        version: "0.1.0".into(),
        status: Some(v1::NodeStatus {
            state: v1::NodeState::Ready.into(),
            since_ms: EPOCH_MS,
            ..Default::default()
        }),
        joined_ms: EPOCH_MS - 60_000,
        ..Default::default()
    }
}

fn manager(octet: u8, reachability: v1::Reachability) -> Option<v1::ManagerInfo> {
    Some(v1::ManagerInfo {
        raft_id: octet.into(),
        addr: format!("192.0.2.{octet}:2377"),
        member: v1::MemberState::Voter.into(),
        reachability: reachability.into(),
        ..Default::default()
    })
}

fn liveness(gossip: v1::Hearing, round_trip_us: u64, session: v1::SessionStanding) -> Option<v1::Liveness> {
    let held = session == v1::SessionStanding::Held;
    let session_manager = if held { OWN.to_owned() } else { String::new() };
    Some(v1::Liveness { gossip: gossip.into(), round_trip_us, session: session.into(), session_manager })
}

pub fn nodes() -> Vec<v1::Node> {
    use v1::{Hearing, SessionStanding};
    let role = v1::Role::Manager.into();
    let own = v1::Node {
        role,
        manager: manager(1, v1::Reachability::Leader),
        liveness: liveness(Hearing::Itself, 0, SessionStanding::Held),
        ..node(OWN, "n1", 1)
    };
    let worker = v1::Node {
        labels: map(&[("rack", "a"), ("ssd", "")]),
        availability: v1::Availability::Drain.into(),
        liveness: liveness(Hearing::Alive, 412, SessionStanding::Held),
        ..node(WEB, "n10", 10)
    };
    let status = v1::NodeStatus {
        state: v1::NodeState::Down.into(),
        message: "heartbeat failed".into(),
        since_ms: EPOCH_MS,
    };
    let down = v1::Node {
        role,
        manager: manager(2, v1::Reachability::Unreachable),
        status: Some(status),
        liveness: liveness(Hearing::Down, 0, SessionStanding::None),
        ..node(DOWN, "n2", 2)
    };
    vec![worker, own, down]
}

pub fn endpoints() -> Vec<v1::Endpoint> {
    let endpoint = |id: &str, node: &str, name: &str, octet: u8| v1::Endpoint {
        id: format!("{id:0<25}"),
        network: NETWORK.into(),
        node: node.into(),
        sandbox: format!("{:0<25}", format!("8box{octet}")),
        name: name.into(),
        aliases: vec![format!("{name}-alias")],
        addresses: vec![format!("10.0.1.{octet}/24"), format!("fd00:1::{octet}/64")],
        mac: format!("02:42:0a:00:01:{octet:02x}"),
        created_ms: EPOCH_MS,
    };
    vec![endpoint("7e1", OWN, "web", 2), endpoint("7e2", WEB, "db", 3)]
}

pub fn network() -> v1::Network {
    let spec = v1::NetworkSpec {
        name: "my_net".into(),
        driver: v1::Driver::Overlay.into(),
        attachable: true,
        ipv6: true,
        options: map(&[("mtu", "1400")]),
        labels: map(&[("team", "blue")]),
        ..Default::default()
    };
    let v4 = v1::Subnet {
        cidr: "10.0.1.0/24".into(),
        gateway: "10.0.1.1".into(),
        ip_range: "10.0.1.0/25".into(),
        aux_addresses: map(&[("router", "10.0.1.5")]),
    };
    let v6 = v1::Subnet { cidr: "fd00:1::/64".into(), gateway: "fd00:1::1".into(), ..Default::default() };
    let subnets = vec![v4, v6];
    v1::Network {
        id: NETWORK.into(),
        spec: Some(spec),
        vni: 4097,
        subnets,
        predefined: false,
        created_ms: EPOCH_MS,
    }
}

pub fn peers() -> Vec<v1::Peer> {
    let peer = |node: &str, hostname: &str, octet: u8| v1::Peer {
        node: node.into(),
        hostname: hostname.into(),
        data_path_addr: format!("198.51.100.{octet}"),
    };
    vec![peer(OWN, "n1", 1), peer(WEB, "n10", 10)]
}

pub fn local_networks() -> Vec<v1::LocalNetwork> {
    let local = |id: &str, name: &str, driver: &str| v1::LocalNetwork {
        id: format!("{id:0<25}"),
        name: name.into(),
        driver: driver.into(),
        scope: "local".into(),
        network: None,
    };
    let shared = v1::LocalNetwork {
        id: NETWORK.into(),
        name: "my_net".into(),
        driver: "overlay".into(),
        scope: "swarm".into(),
        network: Some(network()),
    };
    vec![
        local("9none", "none", "null"),
        local("9host", "host", "host"),
        shared,
        local("9bridge", "bridge", "bridge"),
        local("9gwbridge", "swarm_gwbridge", "bridge"),
    ]
}

pub fn sandboxes(all: bool) -> Vec<v1::Sandbox> {
    let endpoint = v1::SandboxEndpoint {
        id: endpoints().remove(0).id,
        network: NETWORK.into(),
        network_name: "my_net".into(),
        addresses: endpoints().remove(0).addresses,
        mac: "02:42:0a:00:01:02".into(),
        ifname: "eth0".into(),
        aliases: vec!["web-alias".into()],
        mtu: 1450,
    };
    let running = v1::Sandbox {
        id: format!("{:0<25}", "8box2"),
        name: "web".into(),
        kind: v1::SandboxKind::Run.into(),
        state: v1::SandboxState::Running.into(),
        pid: 4242,
        netns: "/run/swarmd/netns/sb-8box20000000".into(),
        command: "/usr/bin/web-server --listen 0.0.0.0:80 --workers 12".split(' ').map(Into::into).collect(),
        created_ms: EPOCH_MS,
        endpoints: vec![endpoint],
        hostname: "web".into(),
        ..Default::default()
    };
    let attached = v1::Sandbox {
        id: format!("{:0<25}", "8box4"),
        name: "blue".into(),
        kind: v1::SandboxKind::Attached.into(),
        netns: "/run/swarmd/netns/sb-8box40000000".into(),
        pid: 0,
        command: vec![],
        hostname: String::new(),
        ..running.clone()
    };
    let exited = v1::Sandbox {
        id: format!("{:0<25}", "8box9"),
        name: "old".into(),
        kind: v1::SandboxKind::Run.into(),
        state: v1::SandboxState::Exited.into(),
        command: vec!["true".into()],
        created_ms: EPOCH_MS,
        ..Default::default()
    };
    if all { vec![running, exited, attached] } else { vec![running, attached] }
}

/// A host that belongs to no cluster.
pub const UNLOCK_KEY: &str = "SWMKEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

pub fn locked() -> v1::InfoResponse {
    v1::InfoResponse {
        state: v1::MembershipState::Locked.into(),
        node: OWN.into(),
        role: v1::Role::Manager.into(),
        join_error: LOCKED.into(),
        data_path_port: 4789,
        ..outside()
    }
}

pub const LOCKED: &str = "this manager is locked: unlock it with `swarmctl unlock`";

pub fn outside() -> v1::InfoResponse {
    v1::InfoResponse {
        version: "0.1.0".into(),
        hostname: "n1".into(),
        state_dir: "/var/lib/swarmd".into(),
        ..Default::default()
    }
}

pub fn info(role: v1::Role) -> v1::InfoResponse {
    let peer =
        |node: &str, octet: u8| v1::ManagerPeer { node: node.into(), addr: format!("192.0.2.{octet}:2377") };
    v1::InfoResponse {
        state: v1::MembershipState::Active.into(),
        node: OWN.into(),
        cluster: "3cluster00000000000000001".into(),
        role: role.into(),
        availability: v1::Availability::Active.into(),
        node_addr: "192.0.2.1".into(),
        data_path_addr: "198.51.100.1".into(),
        data_path_port: 4789,
        listen_addr: if role == v1::Role::Manager { "0.0.0.0:2377".into() } else { String::new() },
        managers: vec![peer(DOWN, 2), peer(OWN, 1)],
        session_manager: DOWN.into(),
        revision: 77,
        sandboxes: 2,
        repairs: 1,
        cert_until_ms: EPOCH_MS + 90 * 24 * 3_600_000,
        warnings: vec!["this host's clock is 47 min ahead of its manager's: set it".into()],
        ..outside()
    }
}

pub fn cluster() -> v1::GetClusterResponse {
    let settings = v1::ClusterSettings {
        default_addr_pools: vec!["10.0.0.0/8".into()],
        subnet_prefix: 24,
        ipv6_pool: "fd12:3456:789a::/48".into(),
        data_path_port: 4789,
        cert_expiry_ms: 90 * 24 * 3_600_000,
        heartbeat_ms: 1500,
        snapshot_interval: 10_000,
        max_snapshots: 0,
        autolock: false,
        cert_grace_ms: Some(30 * 24 * 3_600_000),
        key_rotation_ms: Some(12 * 3_600_000),
    };
    v1::GetClusterResponse {
        cluster: Some(v1::Cluster {
            id: "3cluster00000000000000001".into(),
            created_ms: EPOCH_MS,
            settings: Some(settings),
            root_ca_cert: "-----BEGIN CERTIFICATE-----\n(the root)\n-----END CERTIFICATE-----\n".into(),
            epoch: 0,
            feature_level: 2,
        }),
        quorum: Some(v1::Quorum {
            managers: 3,
            reachable: 3,
            survives: 1,
            leader: OWN.into(),
            term: 4,
            applied: 1234,
        }),
        nodes: 3,
        networks: 2,
        endpoints: 2,
        warnings: vec![WARNING.into()],
        rotation: None,
    }
}

fn summary(file_bytes: u64) -> v1::BackupSummary {
    let cluster = "3cluster00000000000000001".into();
    v1::BackupSummary {
        cluster,
        made_ms: EPOCH_MS,
        revision: 77,
        nodes: 3,
        networks: 2,
        endpoints: 1,
        file_bytes,
    }
}

/// What `backup` is answered; the passphrase says what goes wrong.
pub fn backup(passphrase: &str) -> Vec<Result<v1::BackupPart, tonic::Status>> {
    use v1::backup_part::Part;
    let part = |part| Ok(v1::BackupPart { part: Some(part) });
    let mut parts = vec![
        part(Part::Summary(summary(10))),
        part(Part::Piece(b"sealed".to_vec())),
        part(Part::Piece(b"\0two".to_vec())),
    ];
    match passphrase {
        "breaks" => parts[2] = Err(tonic::Status::unavailable("this manager stops")),
        "ends early" => parts.truncate(2),
        _ => {}
    }
    parts
}

pub fn restored(file: usize) -> v1::RestoreResponse {
    let still_there = if file > 10 { vec!["n2 (192.0.2.2:2377)".into()] } else { vec![] };
    v1::RestoreResponse {
        node: OWN.into(),
        join_token_worker: "SWMTKN-1-digest-secret".into(),
        advertise_addr: "192.0.2.1:2377".into(),
        backup: Some(summary(0)),
        still_there,
        autolock: file > 10,
    }
}

pub fn tokens() -> Vec<v1::IssuedToken> {
    let by = |node: &str, hostname: &str| v1::TokenUse {
        node: node.into(),
        hostname: hostname.into(),
        at_ms: EPOCH_MS,
    };
    let open = v1::IssuedToken {
        id: "6token0000000000000000001".into(),
        role: v1::Role::Worker.into(),
        labels: map(&[("rack", "a")]),
        created_ms: EPOCH_MS,
        state: v1::TokenState::Valid.into(),
        ..Default::default()
    };
    let used = v1::IssuedToken {
        id: "6token0000000000000000002".into(),
        role: v1::Role::Manager.into(),
        labels: map(&[]),
        uses: 1,
        used: 1,
        expires_ms: EPOCH_MS + 60_000,
        used_by: vec![by(WEB, "n10")],
        state: v1::TokenState::UsedUp.into(),
        ..open.clone()
    };
    let outdated = v1::IssuedToken {
        id: "6token0000000000000000003".into(),
        state: v1::TokenState::OldRoot.into(),
        ..open.clone()
    };
    vec![open, outdated, used]
}

pub fn users() -> Vec<v1::User> {
    vec![v1::User {
        id: "7user00000000000000000001".into(),
        name: "anna".into(),
        role: v1::UserRole::Operator.into(),
        created_ms: EPOCH_MS,
        expires_ms: EPOCH_MS + 90 * 24 * 3_600_000,
        state: v1::TokenState::OldRoot.into(),
    }]
}

pub fn events() -> Vec<Option<v1::ClusterEvent>> {
    let event = |of: &str, action: &str, id: &str, name: &str, attributes: &[(&str, &str)]| {
        Some(v1::ClusterEvent {
            at_ms: EPOCH_MS,
            r#type: of.into(),
            action: action.into(),
            id: id.into(),
            name: name.into(),
            attributes: map(attributes),
        })
    };
    vec![
        event("node", "update", DOWN, "n2", &[("state.old", "ready"), ("state.new", "down")]),
        event("node", "trouble", WEB, "n10", &[("message", "its certificate cannot be renewed:\tno disk")]),
        None,
        event("endpoint", "create", "7endpoint", "web", &[("network", "my_net"), ("node", "n10")]),
        event("cluster", "no-leader", "", "", &[]),
    ]
}
