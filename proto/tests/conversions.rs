//! What goes onto the wire comes back the same, and what does not belong there is an error, never a panic.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use swarm_model::*;
use swarm_proto::{ConvertError, v1};

fn id<K>() -> impl Strategy<Value = Id<K>> {
    any::<[u8; 16]>().prop_map(Id::from_random)
}
fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..6).prop_map(String::from_iter)
}
fn name() -> impl Strategy<Value = DnsName> {
    "[a-zA-Z0-9]([a-zA-Z0-9_-]{0,20}[a-zA-Z0-9])?".prop_map(|name| name.parse().unwrap())
}
fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}
fn net() -> impl Strategy<Value = ipnet::IpNet> {
    (any::<IpAddr>(), 0u8..=128).prop_map(|(ip, length)| {
        let most = if ip.is_ipv4() { 32 } else { 128 };
        ipnet::IpNet::new(ip, length.min(most)).unwrap()
    })
}
fn words() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..4)
}
fn aux() -> impl Strategy<Value = BTreeMap<String, IpAddr>> {
    btree_map(text(), any::<IpAddr>(), 0..3)
}
fn socket() -> impl Strategy<Value = std::net::SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(Into::into)
}
fn pick<T: Copy + Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    (0..all.len()).prop_map(|i| all[i])
}

prop_compose! {
    fn status()(state in pick(&[NodeState::Pending, NodeState::Ready, NodeState::Unknown, NodeState::Down,
        NodeState::Disconnected]), message in text(), since_ms: u64) -> NodeStatus {
        NodeStatus { state, message, since_ms }
    }
}
prop_compose! {
    fn manager()(raft_id: u64, addr in socket(), member in pick(&[MemberState::Learner, MemberState::Voter]))
        -> ManagerInfo {
        ManagerInfo { raft_id, addr, member }
    }
}
prop_compose! {
    fn node()(id in id(), hostname in text(), role in pick(&[Role::Worker, Role::Manager]),
        availability in pick(&[Availability::Active, Availability::Pause, Availability::Drain]), labels in words(),
        addr: IpAddr, data_path_addr: IpAddr, version in text(), status in status(),
        manager in option::of(manager()), joined_ms: u64, set in any::<(u64, u32)>()) -> Node {
        let (revision, features) = set;
        Node {
            id, hostname, role, availability, labels, addr, data_path_addr, version, status, manager, joined_ms,
            revision, features, incarnation: None,
        }
    }
}
prop_compose! {
    fn ipam()(subnet in option::of(net()), gateway in option::of(any::<IpAddr>()), ip_range in option::of(net()),
        aux_addresses in aux()) -> IpamConfig {
        IpamConfig { subnet, gateway, ip_range, aux_addresses }
    }
}
prop_compose! {
    fn spec()(name in name(), driver in pick(&[Driver::Overlay, Driver::Bridge, Driver::Macvlan]),
        flags: [bool; 4], mtu in option::of(1u16..), vni in option::of(1..=Vni::MAX), ipam in vec(ipam(), 0..3),
        options in words(), labels in words()) -> NetworkSpec {
        let [attachable, internal, ipv6, encrypted] = flags;
        let vni = vni.and_then(Vni::new);
        NetworkSpec { name, driver, attachable, internal, ipv6, encrypted, mtu, vni, ipam, options, labels }
    }
}
prop_compose! {
    fn subnet()(cidr in net(), gateway: IpAddr, ip_range in option::of(net()), aux_addresses in aux()) -> Subnet {
        Subnet { cidr, gateway, ip_range, aux_addresses }
    }
}
prop_compose! {
    fn network()(id in id(), spec in spec(), vni in 1..=Vni::MAX, subnets in vec(subnet(), 0..3), predefined: bool,
        created_ms: u64) -> Network {
        Network { id, spec, vni: Vni::new(vni).unwrap(), subnets, predefined, created_ms }
    }
}
prop_compose! {
    fn endpoint()(ids in (id(), id(), id(), id()), name in name(), aliases in vec(name(), 0..3),
        addresses in vec(net(), 0..3), mac in mac(), created_ms: u64) -> Endpoint {
        let (id, network, node, sandbox) = ids;
        Endpoint { id, network, node, sandbox, name, aliases, addresses, mac, created_ms }
    }
}
prop_compose! {
    fn settings()(pools in vec((any::<std::net::Ipv4Addr>(), 0u8..=32), 0..3), subnet_prefix: u8,
        v6 in (any::<std::net::Ipv6Addr>(), 0u8..=128), data_path_port: u16, times: [u64; 5], max_snapshots: u32,
        autolock: bool) -> ClusterSettings {
        let [cert_expiry_ms, heartbeat_ms, snapshot_interval, cert_grace_ms, key_rotation_ms] = times;
        ClusterSettings {
            default_addr_pools: pools.into_iter().map(|(ip, n)| ipnet::Ipv4Net::new(ip, n).unwrap()).collect(),
            ipv6_pool: ipnet::Ipv6Net::new(v6.0, v6.1).unwrap(),
            subnet_prefix, data_path_port, cert_expiry_ms, heartbeat_ms, snapshot_interval, max_snapshots, autolock,
            cert_grace_ms, key_rotation_ms,
        }
    }
}
fn manager_peer() -> impl Strategy<Value = ManagerPeer> {
    (id(), socket()).prop_map(|(node, addr)| ManagerPeer { node, addr })
}
fn peer() -> impl Strategy<Value = Peer> {
    (id(), text(), any::<IpAddr>()).prop_map(|(node, hostname, data_path_addr)| Peer {
        node,
        hostname,
        data_path_addr,
    })
}
fn defaults() -> impl Strategy<Value = DriverDefaults> {
    let past = proptest::collection::vec(any::<u64>(), 0..3);
    let keys = vec(any::<(u64, [u8; 32])>(), 0..3);
    (any::<(u16, u64, u64)>(), past, text(), keys).prop_map(
        |((data_path_port, heartbeat_ms, epoch), past, roots, keys)| DriverDefaults {
            data_path_port,
            heartbeat_ms,
            lineage: swarm_proto::lineage(epoch, &past),
            roots,
            gossip_keys: keys
                .into_iter()
                .map(|(generation, secret)| GossipKey { generation, secret: SecretBytes(secret) })
                .collect(),
        },
    )
}
fn role() -> impl Strategy<Value = Role> {
    pick(&[Role::Worker, Role::Manager])
}
fn member() -> impl Strategy<Value = Member> {
    (id(), socket()).prop_map(|(node, addr)| Member { node, addr })
}
prop_compose! {
    fn pair()(node in id(), incarnation in option::of(any::<[u8; 16]>()), current: u64,
        secrets in proptest::collection::btree_map(any::<u64>(), any::<[u8; 32]>(), 0..3)) -> Pair {
        let secrets = secrets.into_iter().map(|(generation, secret)| (generation, PairSecret(secret))).collect();
        Pair { node, incarnation: incarnation.map(Incarnation), ring: PairRing { current, secrets } }
    }
}
fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        network().prop_map(Change::PutNetwork),
        id().prop_map(Change::DropNetwork),
        endpoint().prop_map(Change::PutEndpoint),
        id().prop_map(Change::DropEndpoint),
        peer().prop_map(Change::PutPeer),
        id().prop_map(Change::DropPeer),
        vec(manager_peer(), 0..3).prop_map(Change::Managers),
        defaults().prop_map(Change::Defaults),
        role().prop_map(Change::Role),
        member().prop_map(Change::PutMember),
        id().prop_map(Change::DropMember),
        pair().prop_map(Change::PutPair),
        id().prop_map(Change::DropPair),
    ]
}
prop_compose! {
    fn assigned()(revision: u64, defaults in defaults(), managers in vec(manager_peer(), 0..3),
        networks in vec(network(), 0..3), endpoints in vec(endpoint(), 0..3), peers in vec(peer(), 0..3),
        members in vec(member(), 0..3), pairs in vec(pair(), 0..3), role in option::of(role())) -> Assigned {
        Assigned {
            revision, defaults, managers, role,
            networks: networks.into_iter().map(|n| (n.id, n)).collect(),
            endpoints: endpoints.into_iter().map(|e| (e.id, e)).collect(),
            peers: peers.into_iter().map(|p| (p.node, p)).collect(),
            members: members.into_iter().map(|m| (m.node, m)).collect(),
            pairs: pairs.into_iter().map(|p| (p.node, p)).collect(),
        }
    }
}
fn assignment() -> impl Strategy<Value = Assignment> {
    let steps = (any::<(u64, u64)>(), vec(change(), 0..4));
    prop_oneof![
        assigned().prop_map(Assignment::Complete),
        steps.prop_map(|((applies_to, results_in), changes)| Assignment::Incremental {
            applies_to,
            results_in,
            changes
        }),
    ]
}

/// Model → wire type → bytes → wire type → model.
fn round<M, W>(given: &M) -> Result<M, ConvertError>
where
    W: Message + Default + for<'a> From<&'a M>,
    M: TryFrom<W, Error = ConvertError>,
{
    M::try_from(W::decode(&*W::from(given).encode_to_vec()).expect("own encoding decodes"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn objects_come_back_the_same(node in node(), network in network(), endpoint in endpoint(), settings in settings()) {
        prop_assert_eq!(round::<_, v1::Node>(&node), Ok(node));
        prop_assert_eq!(round::<_, v1::Network>(&network), Ok(network));
        prop_assert_eq!(round::<_, v1::Endpoint>(&endpoint), Ok(endpoint));
        prop_assert_eq!(round::<_, v1::ClusterSettings>(&settings), Ok(settings));
    }

    #[test]
    fn assignments_come_back_the_same(assignment in assignment()) {
        use v1::manager_message::Message as Kind;
        let message = v1::ManagerMessage::from(&assignment);
        let back = match message.message {
            Some(Kind::Complete(whole)) => Assignment::try_from(whole),
            Some(Kind::Incremental(step)) => Assignment::try_from(step),
            other => panic!("an assignment became {other:?}"),
        };
        prop_assert_eq!(back, Ok(assignment));
    }

    /// One text put into every textual field of a right message: refused with the field's name, or taken, no panic.
    #[test]
    fn any_text_in_any_field_is_taken_or_refused_by_name(endpoint in endpoint(), bad in text(), which in 0usize..8) {
        let mut wire = v1::Endpoint::from(&endpoint);
        wire.aliases.push("a".into());
        wire.addresses.push("10.0.0.2/24".into());
        let (field, slot) = match which {
            0 => ("id", &mut wire.id),
            1 => ("network", &mut wire.network),
            2 => ("node", &mut wire.node),
            3 => ("sandbox", &mut wire.sandbox),
            4 => ("name", &mut wire.name),
            5 => ("aliases", wire.aliases.last_mut().unwrap()),
            6 => ("addresses", wire.addresses.last_mut().unwrap()),
            _ => ("mac", &mut wire.mac),
        };
        *slot = bad;
        if let Err(error) = Endpoint::try_from(wire) {
            prop_assert_eq!(error.field, field);
        }
    }

    /// Bytes from anywhere: decoding and converting end in a value or an error.
    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..200), assignment in assignment(), at: prop::sample::Index) {
        let mut damaged = v1::ManagerMessage::from(&assignment).encode_to_vec();
        if !damaged.is_empty() {
            let at = at.index(damaged.len());
            damaged[at] = damaged[at].wrapping_add(1);
        }
        for bytes in [&bytes[..], &damaged[..]] {
            let Ok(message) = v1::ManagerMessage::decode(bytes) else { continue };
            match message.message {
                Some(v1::manager_message::Message::Complete(whole)) => drop(Assignment::try_from(whole)),
                Some(v1::manager_message::Message::Incremental(step)) => drop(Assignment::try_from(step)),
                _ => {}
            }
        }
        let _ = v1::Node::decode(&bytes[..]).map(Node::try_from);
    }
}

#[test]
fn the_error_names_the_path_to_the_field() {
    let spec = v1::NetworkSpec {
        name: "a".into(),
        driver: v1::Driver::Overlay.into(),
        ipam: vec![v1::IpamConfig { gateway: "10.0.0.300".into(), ..Default::default() }],
        ..Default::default()
    };
    let network = v1::Network { id: "0".repeat(25), spec: Some(spec), vni: 1, ..Default::default() };
    let error = Network::try_from(network).unwrap_err();
    assert_eq!(error.to_string(), r#"the field spec.ipam.gateway is "10.0.0.300": expected an IP address"#);
    let status = tonic::Status::from(error);
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
}

#[test]
fn what_is_missing_is_said_to_be_missing() {
    let error = Node::try_from(v1::Node { id: "0".repeat(25), ..Default::default() }).unwrap_err();
    assert_eq!(error.to_string(), "the field role is missing: expected worker or manager");
    let error = swarm_proto::word::<Driver>("driver", 77).unwrap_err();
    assert_eq!(error.to_string(), r#"the field driver is "77": expected overlay, bridge or macvlan"#);
    assert_eq!(swarm_proto::word_or("availability", 0, Availability::Active), Ok(Availability::Active));
}
