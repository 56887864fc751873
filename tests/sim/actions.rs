//! What can happen in the world, each with its weight: requests, faults, and everybody's work going on.

use crate::calls::About;
use crate::replica::Replica;
use crate::worker::{Record, Worker};
use crate::world::World;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use swarm_model::{
    Availability, ClusterSettings, DnsName, Driver, IpamConfig, JoinSecrets, Labels, ManagerInfo,
    MemberState, Network, NetworkId, NetworkSpec, NodeId, Role, SandboxId,
};
use swarm_state::{AdmitNode, Command, CreateCluster, CreateEndpoints, CreateNetwork, NewEndpoint};

const REPLICAS: usize = 3;
const WORKERS: usize = 4;
const SUBNETS: [&str; 4] = ["172.30.0.0/29", "10.9.0.64/28", "172.30.0.8/29", "172.30.0.0/28"];

impl World {
    /// Managers, workers and two networks, before anything goes wrong.
    pub fn found(&mut self) -> Result<(), String> {
        let nodes: Vec<NodeId> = (0..REPLICAS).map(|_| self.rng.id()).collect();
        self.replicas = nodes.iter().map(|node| Replica::new(*node)).collect();
        let create = self.creation(nodes[0]);
        self.call(About::Nobody, create);
        for (n, node) in (1..).zip(&nodes[1..]) {
            self.call(About::Nobody, Command::AdmitNode(admission(*node, Role::Manager, n)));
            let manager = Some(manager(n, MemberState::Voter));
            self.call(About::Nobody, Command::SetManager { node: *node, manager });
        }
        (0..WORKERS).for_each(|_| self.new_worker());
        (0..2).for_each(|_| self.create_network());
        while !self.calls.is_empty() {
            self.try_call_of(0)?;
        }
        self.faults = true;
        Ok(())
    }

    fn creation(&mut self, node: NodeId) -> Command {
        Command::CreateCluster(Box::new(CreateCluster {
            cluster: self.rng.id(),
            settings: settings(),
            join_secrets: JoinSecrets { worker: "w".repeat(25), manager: "m".repeat(25) },
            root_ca_cert: String::new(),
            root_ca_key: String::new(),
            first: admission(node, Role::Manager, 0),
            manager: manager(0, MemberState::Voter),
            ingress: self.rng.id(),
            avoid: Vec::new(),
        }))
    }

    /// One thing happens.
    pub fn act(&mut self) -> Result<(), String> {
        self.now_ms += self.rng.next() % 1_500;
        match self.rng.below(100) {
            0..=22 => (0..1 + self.rng.below(4)).try_for_each(|_| self.try_call())?,
            23..=34 => self.advance_one()?,
            35..=44 => self.pump_one(),
            45..=56 => self.deliver_one()?,
            57..=64 => self.reconcile_one()?,
            65..=75 => self.attach(),
            76..=80 => self.detach(),
            81..=83 => self.release(),
            84..=88 => self.connect(),
            89 => self.create_network(),
            90 if self.rng.percent(40) => self.remove_network(),
            90..=91 => self.arrive_late()?,
            _ => self.fault()?,
        }
        Ok(())
    }

    fn fault(&mut self) -> Result<(), String> {
        let (replica, worker) = (self.rng.below(self.replicas.len()), self.rng.below(self.workers.len()));
        match self.rng.below(20) {
            0..=1 => self.crash_replica(replica),
            2..=4 => self.start_replica(replica)?,
            5..=6 => self.compact(replica)?,
            7 => self.leader = replica,
            8 => self.jump(replica),
            9..=10 => {
                let cut = self.rng.below(self.streams.len().max(1));
                let cut = self.streams.get(cut).map(|stream| stream.session);
                self.close_streams(|stream| Some(stream.session) == cut);
            }
            11..=12 => self.crash_worker(worker),
            13..=14 => self.start_worker(worker),
            15..=16 => self.workers[worker].damage(&mut self.rng),
            17 => self.move_worker(worker),
            18 if self.rng.percent(25) => self.leave(worker),
            19 if self.rng.percent(25) => self.new_worker(),
            _ if self.rng.percent(70) => {}
            _ => self.call(About::Nobody, Command::PruneNetworks),
        }
        Ok(())
    }

    fn advance_one(&mut self) -> Result<(), String> {
        let (at, most) = (self.rng.below(self.replicas.len()), 1 + self.rng.below(6));
        self.advance(at, most)
    }

    fn pump_one(&mut self) {
        if !self.streams.is_empty() {
            let at = self.rng.below(self.streams.len());
            self.pump(at);
        }
    }

    fn deliver_one(&mut self) -> Result<(), String> {
        if self.streams.is_empty() {
            return Ok(());
        }
        let at = self.rng.below(self.streams.len());
        self.deliver(at)
    }

    fn reconcile_one(&mut self) -> Result<(), String> {
        let at = self.rng.below(self.workers.len());
        if self.workers[at].up {
            self.workers[at].reconcile(&mut self.rng, self.faults)?;
        }
        Ok(())
    }

    fn crash_replica(&mut self, at: usize) {
        self.tell(format_args!("replica {at} crashed"));
        self.replicas[at].crash();
        self.close_streams(|stream| stream.replica == at);
    }

    pub fn start_replica(&mut self, at: usize) -> Result<(), String> {
        if self.replicas[at].up {
            return Ok(());
        }
        self.replicas[at].start()?;
        self.tell(format_args!("replica {at} came back at {}", self.replicas[at].state.revision()));
        Ok(())
    }

    /// Takes a snapshot; now and then the log before it goes.
    fn compact(&mut self, at: usize) -> Result<(), String> {
        if self.replicas[at].up {
            let saved = self.replicas[at].save()?;
            if self.rng.percent(50) {
                self.log.floor = self.log.floor.max(saved);
            }
        }
        Ok(())
    }

    fn jump(&mut self, at: usize) {
        const TWO_HOURS_MS: i64 = 7_200_000;
        let wild = if self.rng.percent(20) { 44_000 } else { 1 };
        self.replicas[at].skew_ms = (self.rng.next() as i64 % TWO_HOURS_MS) * wild;
    }

    fn crash_worker(&mut self, at: usize) {
        if !self.workers[at].left {
            self.tell(format_args!("worker {at} crashed"));
            self.workers[at].up = false;
            self.close_streams(|stream| stream.worker == at);
            // Who waited for an answer is gone with it; what was asked for may still come to pass.
            let waiting = |about: &About| matches!(about, About::Attach { worker, .. } if *worker == at);
            let gone: Vec<_> = self.calls.extract_if(.., |call| waiting(&call.about)).collect();
            self.late.extend(gone.into_iter().map(|call| (call.request, call.command)));
        }
    }

    pub fn start_worker(&mut self, at: usize) {
        if !self.workers[at].up {
            self.tell(format_args!("worker {at} came back"));
            self.workers[at].start();
        }
    }

    /// The host gets another data-path address and registers it.
    fn move_worker(&mut self, at: usize) {
        if self.is_member(at) {
            self.workers[at].data_path_addr = self.fresh_addr();
            self.close_streams(|stream| stream.worker == at);
        }
    }

    /// Up, admitted, and not gone.
    fn is_member(&self, at: usize) -> bool {
        let worker = &self.workers[at];
        worker.up && !worker.left && self.log.truth.node(&worker.node).is_some()
    }

    fn fresh_addr(&mut self) -> IpAddr {
        Ipv4Addr::from(0xc0a8_0000 | (self.rng.next() as u32 & 0xffff)).into()
    }

    fn new_worker(&mut self) {
        let (node, addr) = (self.rng.id(), self.fresh_addr());
        self.workers.push(Worker::new(node, addr));
        let admit = AdmitNode { data_path_addr: addr, addr, ..admission(node, Role::Worker, 0) };
        self.call(About::Join, Command::AdmitNode(admit));
    }

    fn leave(&mut self, at: usize) {
        if self.is_member(at) {
            let node = self.workers[at].node;
            self.call(About::Leave { worker: at }, Command::LeaveNode { node });
        }
    }

    /// A worker without a session opens one with a manager that is up.
    pub fn connect(&mut self) {
        let at = self.rng.below(self.workers.len());
        let lives: Vec<usize> = (0..self.replicas.len()).filter(|at| self.replicas[*at].up).collect();
        let alone = self.is_member(at) && self.streams.iter().all(|stream| stream.worker != at);
        if let Some(replica) = self.rng.pick(&lives).filter(|_| alone) {
            self.open_stream(at, *replica);
        }
    }

    fn attach(&mut self) {
        let attachable = |network: &&Network| network.spec.attachable || network.name().as_str() == "n7";
        let networks = self.log.truth.networks().filter(attachable).map(|network| network.id);
        let networks: Vec<NetworkId> = networks.collect();
        let at = self.rng.below(self.workers.len());
        if networks.is_empty() || !self.is_member(at) {
            return;
        }
        let sandbox: SandboxId = self.rng.id();
        let count = 1 + self.rng.below(2);
        let endpoints: Vec<NewEndpoint> = (0..count).map(|_| self.new_endpoint(sandbox, &networks)).collect();
        let interfaces = endpoints.iter().zip(0..).map(|(new, n)| (new.id, format!("eth{n}").into()));
        let record = Record { endpoints: interfaces.collect(), acknowledged: Vec::new() };
        self.workers[at].records.insert(sandbox, record);
        let node = self.workers[at].node;
        let command = Command::CreateEndpoints(CreateEndpoints { node, endpoints });
        self.call(About::Attach { worker: at, sandbox }, command);
    }

    fn new_endpoint(&mut self, sandbox: SandboxId, networks: &[NetworkId]) -> NewEndpoint {
        let mut network = networks[self.rng.below(networks.len())];
        let mut ip = None;
        if self.rng.percent(20)
            && let Some((of, released)) = self.rng.pick(&self.log.ledger.released())
        {
            (network, ip) = (*of, Some(*released));
        }
        let name = dns_name(format!("e{}", self.rng.below(40)));
        let aliases = (0..self.rng.below(2)).map(|n| dns_name(format!("alias{n}"))).collect();
        NewEndpoint { id: self.rng.id(), network, sandbox, name, aliases, ip, mac: None }
    }

    fn detach(&mut self) {
        let at = self.rng.below(self.workers.len());
        let acknowledged =
            self.workers[at].records.iter().filter(|(_, record)| !record.acknowledged.is_empty());
        let sandboxes: Vec<SandboxId> = acknowledged.map(|(id, _)| *id).collect();
        if let Some(sandbox) = self.rng.pick(&sandboxes).filter(|_| self.workers[at].up) {
            self.workers[at].forget(sandbox);
        }
    }

    /// A worker gives back what it has given up.
    fn release(&mut self) {
        let at = self.rng.below(self.workers.len());
        self.release_of(at);
    }

    pub fn release_of(&mut self, at: usize) {
        let worker = &self.workers[at];
        if worker.up && !worker.left && !worker.releasing.is_empty() {
            let (node, endpoints) = (worker.node, worker.releasing.iter().copied().take(100).collect());
            self.call(About::Release { worker: at }, Command::ReleaseEndpoints { node, endpoints });
        }
    }

    fn create_network(&mut self) {
        let ipv6 = self.rng.percent(30);
        let subnet = self.rng.pick(&SUBNETS).copied().filter(|_| self.faults);
        let subnet = subnet.filter(|_| self.rng.percent(40)).and_then(|text| text.parse().ok());
        let spec = NetworkSpec {
            name: dns_name(format!("n{}", self.rng.below(8))),
            driver: Driver::Overlay,
            attachable: self.rng.percent(90),
            internal: false,
            ipv6,
            encrypted: false,
            mtu: None,
            vni: None,
            ipam: subnet
                .map(|subnet| IpamConfig { subnet: Some(subnet), ..IpamConfig::default() })
                .into_iter()
                .collect(),
            options: BTreeMap::new(),
            labels: Labels::new(),
        };
        let id = self.rng.id();
        self.call(About::Nobody, Command::CreateNetwork(CreateNetwork { id, spec, avoid: Vec::new() }));
    }

    fn remove_network(&mut self) {
        let networks: Vec<NetworkId> = self.log.truth.networks().map(|network| network.id).collect();
        if let Some(network) = self.rng.pick(&networks) {
            self.call(About::Nobody, Command::RemoveNetwork { network: *network });
        }
    }
}

fn dns_name(text: String) -> DnsName {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

fn settings() -> ClusterSettings {
    ClusterSettings {
        default_addr_pools: vec!["10.9.0.0/24".parse().unwrap_or_else(|e| panic!("{e}"))],
        subnet_prefix: 28,
        ipv6_pool: "fd00:5:5::/48".parse().unwrap_or_else(|e| panic!("{e}")),
        data_path_port: ClusterSettings::DEFAULT_DATA_PATH_PORT,
        cert_expiry_ms: ClusterSettings::DEFAULT_CERT_EXPIRY_MS,
        heartbeat_ms: ClusterSettings::DEFAULT_HEARTBEAT_MS,
        snapshot_interval: ClusterSettings::DEFAULT_SNAPSHOT_INTERVAL,
        max_snapshots: 0,
        autolock: false,
    }
}

fn admission(node: NodeId, role: Role, n: u8) -> AdmitNode {
    AdmitNode {
        node,
        hostname: format!("host-{}", node.short()),
        role,
        availability: Availability::Active,
        labels: Labels::new(),
        addr: [10, 200, 0, n].into(),
        data_path_addr: [10, 200, 0, n].into(),
        version: "0.1.0".to_owned(),
    }
}

fn manager(n: u8, member: MemberState) -> ManagerInfo {
    ManagerInfo { raft_id: n.into(), addr: ([10, 200, 0, n], 2377).into(), member }
}
