//! Short words for building entries, and a cluster to apply them to.

use crate::*;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::net::IpAddr;
use core::str::FromStr;
use swarm_model::*;

/// The `n`th id of its kind.
pub fn id<K>(n: u64) -> Id<K> {
    Id::from_str(&format!("{n:0>25}")).unwrap()
}

pub fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn settings(pool: &str, prefix: u8) -> ClusterSettings {
    ClusterSettings {
        subnet_prefix: prefix,
        snapshot_interval: 1000,
        ..ClusterSettings::with_defaults(vec![pool.parse().unwrap()], "fd12:3456:789a::/48".parse().unwrap())
    }
}

pub fn admission(n: u64, role: Role) -> AdmitNode {
    let addr = IpAddr::from([192, 168, (n / 200) as u8, (n % 200) as u8 + 1]);
    AdmitNode {
        node: id(n),
        hostname: format!("h{n}"),
        role,
        availability: Availability::Active,
        labels: Labels::new(),
        addr,
        data_path_addr: addr,
        version: "0.1.0".to_string(),
        features: FEATURE_LEVEL,
    }
}

pub fn manager(n: u64, member: MemberState) -> ManagerInfo {
    ManagerInfo { raft_id: 100 + n, addr: format!("192.168.9.{n}:2377").parse().unwrap(), member }
}

pub fn creation(settings: ClusterSettings) -> Command {
    Command::CreateCluster(Box::new(CreateCluster {
        cluster: id(1),
        settings,
        join_secrets: JoinSecrets { worker: "w".repeat(25), manager: "m".repeat(25) },
        root_ca_cert: "certificate".to_string(),
        root_ca_key: "key".to_string(),
        first: admission(0, Role::Manager),
        manager: manager(0, MemberState::Voter),
        ingress: id(999),
        avoid: Vec::new(),
        feature_level: FEATURE_LEVEL,
    }))
}

pub fn spec(text: &str) -> NetworkSpec {
    NetworkSpec {
        name: name(text),
        driver: Driver::Overlay,
        attachable: true,
        internal: false,
        ipv6: false,
        encrypted: false,
        mtu: None,
        vni: None,
        ipam: Vec::new(),
        options: Default::default(),
        labels: Labels::new(),
    }
}

pub fn ipam(subnet: &str) -> IpamConfig {
    IpamConfig { subnet: Some(subnet.parse().unwrap()), ..IpamConfig::default() }
}

pub fn network(n: u64, spec: NetworkSpec) -> Command {
    Command::CreateNetwork(CreateNetwork { id: id(n), spec, avoid: Vec::new() })
}

pub fn endpoint(n: u64, network: u64, text: &str) -> NewEndpoint {
    NewEndpoint {
        id: id(n),
        network: id(network),
        sandbox: id(n),
        name: name(text),
        aliases: Vec::new(),
        ip: None,
        mac: None,
    }
}

pub fn attach(node: u64, endpoints: Vec<NewEndpoint>) -> Command {
    Command::CreateEndpoints(CreateEndpoints { node: id(node), endpoints })
}

pub fn release(node: u64, ids: &[u64]) -> Command {
    Command::ReleaseEndpoints { node: id(node), endpoints: ids.iter().map(|n| id(*n)).collect() }
}

/// A state with a log of its own.
#[derive(Default)]
pub struct Log {
    pub state: State,
    pub now_ms: u64,
    pub events: Vec<Event>,
}

impl Log {
    /// With nodes `h0` (manager) to `h3`, and a pool of 10.0.0.0/8 by /24.
    pub fn new() -> Self {
        Self::with(settings("10.0.0.0/8", 24))
    }

    pub fn with(settings: ClusterSettings) -> Self {
        let mut log = Self { now_ms: 1_700_000_000_000, ..Self::default() };
        log.ask(creation(settings));
        for n in 1..4 {
            log.ask(Command::AdmitNode(admission(n, Role::Worker)));
        }
        log
    }

    /// Applies and checks; the events stay in `events`.
    pub fn ask(&mut self, command: Command) -> Reply {
        self.ask_as(None, command)
    }

    pub fn ask_as(&mut self, request: Option<RequestId>, command: Command) -> Reply {
        let reply = self.ask_unchecked(request, command);
        self.state.check_invariants().unwrap();
        reply
    }

    /// For tests with so much in the state that checking each step would be the test.
    pub fn ask_unchecked(&mut self, request: Option<RequestId>, command: Command) -> Reply {
        let entry = Entry { request, now_ms: self.now_ms, command };
        let index = self.state.revision() + 1;
        let applied = apply(&mut self.state, index, &entry);
        self.events = applied.events;
        applied.reply
    }

    pub fn network(&mut self, n: u64, spec: NetworkSpec) -> Arc<Network> {
        match self.ask(network(n, spec)) {
            Reply::Network(network) => network,
            other => panic!("expected a network, got {other:?}"),
        }
    }

    pub fn attach(&mut self, node: u64, new: NewEndpoint) -> Arc<Endpoint> {
        match self.ask(attach(node, vec![new])) {
            Reply::Endpoints { endpoints, .. } => Arc::clone(&endpoints[0]),
            other => panic!("expected an endpoint, got {other:?}"),
        }
    }

    pub fn refused(&mut self, command: Command) -> Refusal {
        match self.ask(command) {
            Reply::Refused(refusal) => {
                assert!(self.events.is_empty(), "a refusal changed something: {:?}", self.events);
                refusal
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}
