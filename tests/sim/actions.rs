//! What happens in the world, each with its weight: requests, faults, and everybody's work going on.

use crate::calls::About;
use crate::worker::Record;
use crate::world::World;
use std::collections::BTreeMap;
use swarm_model::{
    DnsName, Driver, IpamConfig, Labels, Network, NetworkId, NetworkSpec, NodeUpdate, Role, SandboxId,
};
use swarm_state::{Command, CreateEndpoints, CreateNetwork, NewEndpoint, UpdateNode};

const SUBNETS: [&str; 4] = ["172.30.0.0/29", "10.9.0.64/28", "172.30.0.8/29", "172.30.0.0/28"];

impl World {
    /// One thing happens.
    pub fn act(&mut self) -> Result<(), String> {
        self.now_ms += self.rng.draw() % 1_500;
        self.act_once()?;
        self.answer_reads();
        self.check_managers()
    }

    fn act_once(&mut self) -> Result<(), String> {
        match self.rng.below(125) {
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
            100..=104 => self.elect(),
            105..=108 => drop(self.look_after()?),
            109..=114 => self.roles_one()?,
            115..=117 => self.change_role(),
            118..=120 => self.write_label(),
            121..=123 => self.read_label(),
            124 if self.rng.percent(20) => self.remove_node(),
            124 => {}
            _ => self.fault()?,
        }
        Ok(())
    }

    fn advance_one(&mut self) -> Result<(), String> {
        let (at, most) = (self.rng.below(self.replicas.len()), 1 + self.rng.below(6));
        self.advance(at, most)
    }

    /// A host goes on with its role.
    fn roles_one(&mut self) -> Result<(), String> {
        let worker = self.rng.below(self.workers.len());
        self.follow(worker).map(drop)
    }

    /// An operator promotes or demotes somebody.
    fn change_role(&mut self) {
        let at = self.rng.below(self.workers.len());
        let node = self.workers[at].node;
        let role = if self.rng.percent(50) { Role::Manager } else { Role::Worker };
        let update = NodeUpdate { role: Some(role), ..NodeUpdate::default() };
        self.call(About::Node, Command::UpdateNode(UpdateNode { node, update, if_revision: None }));
    }

    fn remove_node(&mut self) {
        let at = self.rng.below(self.workers.len());
        let (node, force) = (self.workers[at].node, self.rng.percent(70));
        self.call(About::Node, Command::RemoveNode { node, force });
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

    /// Up, admitted, and not gone.
    pub fn is_member(&self, at: usize) -> bool {
        let worker = &self.workers[at];
        worker.up && !worker.left && self.log.truth.node(&worker.node).is_some()
    }

    /// A worker without a session opens one with a manager that belongs to the others.
    pub fn connect(&mut self) {
        let at = self.rng.below(self.workers.len());
        let serves =
            |at: &usize| self.replicas[*at].is_reached() && self.group.has(self.replicas[*at].raft_id);
        let lives: Vec<usize> = (0..self.replicas.len()).filter(serves).collect();
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

    pub fn create_network(&mut self) {
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
