//! Any sequence of entries, from few ids and small pools, so that they meet each other.

use super::access;
use super::build::*;
use crate::*;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::collection;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use swarm_model::*;

/// Nodes 0 to 4; the last is often not there yet.
pub const NODES: u64 = 5;
const NETWORKS: u64 = 4;
const ENDPOINTS: u64 = 24;

/// Entries that mostly begin with a cluster of three nodes and two networks.
pub fn entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    (start(), collection::vec(entry(), 1..most)).prop_map(|(mut first, rest)| {
        first.extend(rest);
        first
    })
}

fn start() -> impl Strategy<Value = Vec<Entry>> {
    // Room for 7 networks of 5 endpoints, or of 1: pools run out.
    (29u8..=30, prop::bool::weighted(0.95), any::<bool>()).prop_map(|(prefix, created, ipv6)| {
        let mut commands = Vec::new();
        if created {
            commands.push(creation(settings("10.9.0.0/26", prefix)));
            commands.push(Command::AdmitNode(admission(1, Role::Worker)));
            commands.push(Command::AdmitNode(admission(2, Role::Manager)));
            commands
                .push(network(0, NetworkSpec { ipv6, ipam: [ipam("10.20.0.0/28")].into(), ..spec("n0") }));
            commands.push(network(1, NetworkSpec { ipv6, ..spec("n1") }));
        }
        commands.into_iter().map(|command| Entry { request: None, now_ms: 1_000_000, command }).collect()
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let wall = prop_oneof![8 => 1_000_000u64..1_030_000, 1 => any::<u64>()];
    (option::weighted(0.2, 0u64..60), wall, command()).prop_map(|(request, now_ms, command)| Entry {
        request: request.map(id),
        now_ms,
        command,
    })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        1 => Just(Command::NoOp),
        1 => Just(creation(settings("10.9.0.0/26", 29))),
        1 => any::<bool>().prop_map(|worker| Command::RotateJoinSecret(RotateJoinSecret {
            role: if worker { Role::Worker } else { Role::Manager },
            secret: "x".repeat(25),
        })),
        2 => (0..NODES, any::<bool>()).prop_map(|(n, worker)| {
            Command::AdmitNode(admission(n, if worker { Role::Worker } else { Role::Manager }))
        }),
        1 => (0u8..4).prop_map(|n| Command::SetLock(match n {
            0 => SetLock::Off,
            1 => SetLock::On(UnlockSecret("first".into())),
            2 => SetLock::On(UnlockSecret("second".into())),
            _ => SetLock::Rotate(UnlockSecret("third".into())),
        })),
        3 => register(),
        3 => status(),
        2 => (0..NODES, option::of((0..NODES, any::<bool>()))).prop_map(|(n, place)| Command::SetManager {
            node: id(n),
            manager: place.map(|(as_of, votes)| {
                manager(as_of, if votes { MemberState::Voter } else { MemberState::Learner })
            }),
        }),
        1 => (1..NODES).prop_map(|n| Command::LeaveNode { node: id(n) }),
        3 => update_node(),
        1 => (0..NODES, any::<bool>()).prop_map(|(n, force)| Command::RemoveNode { node: id(n), force }),
        1 => (0..NODES, 0..NODES, 0u32..3).prop_map(|(n, place, drawn)| Command::ReplaceManagers(Box::new(ReplaceManagers {
            survivor: admission(n, Role::Manager),
            manager: manager(place + 10 * n, MemberState::Voter),
            drawn,
        }))),
        1 => (0u32..4, option::of(0u32..4)).prop_map(|(level, features)| Command::SetFeatureLevel {
            level,
            settled: features.map(|features| Settled {
                epoch: Epoch::from_u64(1),
                features: (0..NODES).map(|n| (id(n), features)).collect(),
                past: vec![],
            }),
        }),
        1 => (1u64..4, 0u64..2, any::<bool>()).prop_map(|(days, grace, bad)| Command::UpdateSettings(SettingsChange {
            cert_expiry_ms: Some(if bad { 1 } else { days * 86_400_000 }),
            cert_grace_ms: Some(grace),
            max_snapshots: Some(days as u32),
            ..SettingsChange::default()
        })),
        1 => (0u64..3, 0u64..3).prop_map(|(old, new)| super::ca::rotate(old, new)),
        2 => (0..NODES, 0u64..60).prop_map(|(n, rotation)| Command::NoteRenewed { node: id(n), rotation }),
        1 => (0u64..60).prop_map(|rotation| Command::FinishRotation { rotation }),
        1 => (0u64..4).prop_map(super::ring::turn),
        3 => (0..NODES, 0u64..3, 0u8..3).prop_map(|(n, session, drawn)| super::pairs::note(n, session, drawn)),
        1 => (0u64..3, option::of(0u32..3), option::of(1_000_000u64..1_030_000))
            .prop_map(|(n, uses, end)| access::token(n, uses, end)),
        2 => (0..NODES, 0u64..3).prop_map(|(n, token)| access::join(n, token)),
        1 => (0u64..3).prop_map(|n| Command::RevokeToken { token: id(n) }),
        1 => (0u64..3, 0u8..3).prop_map(|(n, name)| access::user(n, &format!("u{name}"))),
        1 => (0u64..3).prop_map(|n| Command::RemoveUser { user: id(n) }),
        5 => new_network(),
        2 => (0..NETWORKS).prop_map(|n| Command::RemoveNetwork { network: id(n) }),
        1 => Just(Command::PruneNetworks),
        40 => (0..NODES, collection::vec(new_endpoint(), 1..3)).prop_map(|(n, mut endpoints)| {
            endpoints.iter_mut().zip(0..).for_each(|(new, i)| new.id = own(n, new.id, i));
            attach(n, endpoints)
        }),
        25 => (0..NODES, collection::vec(0..ENDPOINTS, 1..6)).prop_map(|(n, ids)| Command::ReleaseEndpoints {
            node: id(n),
            endpoints: ids.into_iter().map(|wish| own(n, id(wish), 0)).collect(),
        }),
    ]
}

/// Mostly an id of the node's own, so that most releases find something; sometimes the one wished for, anybody's.
fn own(node: u64, wish: EndpointId, step: u64) -> EndpointId {
    let wished: u64 = wish.as_str().parse().unwrap_or_default();
    if wished == ENDPOINTS - 1 { wish } else { id(1000 + node * ENDPOINTS + (wished + step) % 8) }
}

fn register() -> impl Strategy<Value = Command> {
    (0..NODES, 0u64..3, 0u8..3).prop_map(|(n, session, variant)| {
        Command::RegisterNode(RegisterNode {
            node: id(n),
            session: id(session),
            manager: id(0),
            hostname: format!("h{}", n + u64::from(variant / 2)),
            addr: [192, 168, 0, n as u8].into(),
            data_path_addr: [192, 168, variant, n as u8].into(),
            version: String::from("0.1.0"),
            features: FEATURE_LEVEL,
        })
    })
}

fn update_node() -> impl Strategy<Value = Command> {
    let role = option::of(select(Vec::from([Role::Worker, Role::Manager])));
    let availability = option::of(select(Vec::from([Availability::Active, Availability::Drain])));
    let labels = (option::of(0u8..3), option::weighted(0.2, 0u8..3));
    (0..NODES, role, availability, labels, option::weighted(0.1, 0u64..40)).prop_map(
        |(n, role, availability, (add, remove), if_revision)| {
            let label = |n: u8| format!("l{n}");
            let update = NodeUpdate {
                role,
                availability,
                labels_add: add.into_iter().map(|n| (label(n), String::from("x"))).collect(),
                labels_remove: remove.into_iter().map(label).collect(),
            };
            Command::UpdateNode(UpdateNode { node: id(n), update, if_revision })
        },
    )
}

fn status() -> impl Strategy<Value = Command> {
    use NodeState::{Disconnected, Down, Pending, Ready, Unknown};
    let state = select(Vec::from([Pending, Ready, Unknown, Down, Disconnected]));
    (0..NODES, state, option::of(0u64..3)).prop_map(|(n, state, session)| Command::SetNodeStatus {
        node: id(n),
        state,
        message: String::new(),
        session: session.map(id),
    })
}

/// Inside the pool, outside it, over all of it, of both families.
const SUBNETS: &[&[&str]] = &[
    &[],
    &["10.9.0.8/29"],
    &["10.9.0.16/30", "172.30.0.0/30"],
    &["172.30.0.0/29"],
    &["10.9.0.0/16"],
    &["fd00:1::/126"],
    &["172.30.0.4/30", "172.30.0.0/30"],
];

fn new_network() -> impl Strategy<Value = Command> {
    let subnets = select(SUBNETS);
    let flags =
        (any::<bool>(), prop::bool::weighted(0.9), option::weighted(0.2, 4096u32..4099), any::<bool>());
    (0..NETWORKS, 0u8..6, subnets, flags, prop::bool::weighted(0.2)).prop_map(
        |(n, text, subnets, (ipv6, attachable, vni, encrypted), avoid)| {
            let mut spec = spec(&format!("n{text}"));
            spec.ipam = subnets.iter().map(|subnet| ipam(subnet)).collect();
            (spec.ipv6, spec.attachable, spec.vni) = (ipv6, attachable, vni.and_then(Vni::new));
            spec.encrypted = encrypted;
            let avoid = if avoid { ["10.9.0.0/27".parse().unwrap()].into() } else { Vec::new() };
            Command::CreateNetwork(CreateNetwork { id: id(n), spec, avoid })
        },
    )
}

fn new_endpoint() -> impl Strategy<Value = NewEndpoint> {
    let asked = select(&["10.9.0.10", "172.30.0.2", "172.30.0.6", "fd00:1::2", "10.20.0.9", "10.20.0.15"]);
    let mac = select(&["02:42:0a:09:00:0a", "02:00:00:00:00:01", "01:00:00:00:00:01"]);
    let place = (0..ENDPOINTS, 0..NETWORKS, 0u8..40);
    (place, option::weighted(0.15, asked), option::weighted(0.05, mac), 0usize..3).prop_map(
        |((n, network, text), asked, mac, aliases)| NewEndpoint {
            aliases: (0..aliases).map(|a| name(&format!("alias{a}"))).collect(),
            ip: asked.map(ip),
            mac: mac.map(|mac| mac.parse().unwrap()),
            ..endpoint(n, network, &format!("e{text}"))
        },
    )
}
