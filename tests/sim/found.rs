//! How each world begins, and how it grows: managers, workers, their settings and addresses.

use crate::calls::About;
use crate::managers::manager_addr;
use crate::replica::Replica;
use crate::worker::Worker;
use crate::world::World;
use std::net::{IpAddr, Ipv4Addr};
use swarm_model::{
    Availability, ClusterSettings, FEATURE_LEVEL, JoinSecrets, Labels, ManagerInfo, MemberState, NodeId, Role,
};
use swarm_raft::Member;
use swarm_state::{AdmitNode, Command, CreateCluster};

const REPLICAS: usize = 3;
/// Besides the managers, which are workers too.
const WORKERS: usize = 3;

impl World {
    /// Managers, workers and two networks, before anything goes wrong.
    pub fn found(&mut self) -> Result<(), String> {
        let features = if self.rng.percent(30) { FEATURE_LEVEL - 1 } else { FEATURE_LEVEL };
        self.features = features;
        let nodes: Vec<NodeId> = (0..REPLICAS).map(|_| self.rng.id()).collect();
        for node in &nodes {
            let raft_id = self.fresh_raft_id();
            self.replicas.push(Replica::voter(*node, raft_id));
            let addr = self.fresh_addr();
            self.workers.push(Worker { features, admitted: true, ..Worker::new(*node, addr) });
            let member = Member { node: node.to_string(), addr: manager_addr(raft_id) };
            self.group.voters.insert(raft_id, member);
        }
        self.group.lead(1);
        let create = self.creation(nodes[0], features);
        self.call(About::Nobody, create);
        for (n, node) in (2..).zip(&nodes[1..]) {
            let admit = AdmitNode { features, ..admission(*node, Role::Manager, 0) };
            self.call(About::Nobody, Command::AdmitNode(admit));
            self.call(About::Nobody, Command::SetManager { node: *node, manager: Some(manager(n)) });
        }
        (0..WORKERS).for_each(|_| self.new_worker());
        (0..2).for_each(|_| self.create_network());
        while !self.calls.is_empty() {
            self.try_call_of(0)?;
        }
        self.faults = true;
        Ok(())
    }

    fn creation(&mut self, node: NodeId, features: u32) -> Command {
        Command::CreateCluster(Box::new(CreateCluster {
            cluster: self.rng.id(),
            settings: settings(),
            join_secrets: JoinSecrets { worker: "w".repeat(25), manager: "m".repeat(25) },
            root_ca_cert: String::new(),
            root_ca_key: String::new(),
            first: AdmitNode { features, ..admission(node, Role::Manager, 0) },
            manager: manager(1),
            ingress: self.rng.id(),
            avoid: Vec::new(),
            feature_level: features,
        }))
    }

    pub fn fresh_addr(&mut self) -> IpAddr {
        Ipv4Addr::from(0xc0a8_0000 | (self.rng.draw() as u32 & 0xffff)).into()
    }

    pub fn new_worker(&mut self) {
        let (node, addr) = (self.rng.id(), self.fresh_addr());
        // A cluster that is being upgraded has many hosts that are not yet.
        let (old, managers) = if self.features < FEATURE_LEVEL { (60, 40) } else { (20, 15) };
        let features = if self.rng.percent(old) { FEATURE_LEVEL - 1 } else { FEATURE_LEVEL };
        let role = if self.rng.percent(managers) { Role::Manager } else { Role::Worker };
        self.workers.push(Worker { features, ..Worker::new(node, addr) });
        let admit = AdmitNode { data_path_addr: addr, addr, features, ..admission(node, role, 0) };
        self.call(About::Join { worker: self.workers.len() - 1 }, Command::AdmitNode(admit));
    }
}

fn settings() -> ClusterSettings {
    ClusterSettings {
        subnet_prefix: 28,
        ..ClusterSettings::with_defaults(
            vec!["10.9.0.0/24".parse().unwrap_or_else(|e| panic!("{e}"))],
            "fd00:5:5::/48".parse().unwrap_or_else(|e| panic!("{e}")),
        )
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
        features: FEATURE_LEVEL,
    }
}

fn manager(raft_id: u64) -> ManagerInfo {
    ManagerInfo { raft_id, addr: manager_addr(raft_id), member: MemberState::Voter }
}
