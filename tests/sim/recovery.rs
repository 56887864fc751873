//! A cluster that goes on with one manager, and the managers of its past, who meet the later epoch.

use crate::managers::manager_addr;
use crate::world::World;
use swarm_model::{ManagerInfo, MemberState, Role};
use swarm_raft::Member;
use swarm_state::{AdmitNode, Command, ReplaceManagers};

impl World {
    /// A manager of the past comes back: it finds the later epoch when it meets anybody.
    pub fn meet_later_epoch(&mut self, own: usize) -> Result<(), String> {
        if self.decides() { self.erase(own) } else { Ok(()) }
    }

    /// All managers but one are lost, and the cluster goes on with that one.
    pub fn lose_managers(&mut self) -> Result<(), String> {
        let able: Vec<usize> = self
            .heard()
            .into_iter()
            .filter_map(|id| self.with_id(id))
            .filter(|at| self.knows_all(*at))
            .collect();
        let Some(survivor) = self.rng.pick(&able).copied() else { return Ok(()) };
        let node = self.replicas[survivor].node;
        let lost: Vec<usize> =
            (0..self.replicas.len()).filter(|at| *at != survivor && !self.replicas[*at].gone).collect();
        for at in lost {
            self.crash_host(&self.replicas[at].node.clone());
            self.replicas[at].past = true;
        }
        let raft_id = self.fresh_raft_id();
        (self.replicas[survivor].raft_id, self.replicas[survivor].voted) = (raft_id, true);
        self.group.voters =
            [(raft_id, Member { node: node.to_string(), addr: manager_addr(raft_id) })].into();
        self.group.learners.clear();
        self.group.lead(raft_id);
        let manager = ManagerInfo { raft_id, addr: manager_addr(raft_id), member: MemberState::Voter };
        let Some(record) = self.log.truth.node(&node) else { return Ok(()) };
        let survivor = AdmitNode {
            node,
            hostname: record.hostname.clone(),
            role: Role::Manager,
            availability: record.availability,
            labels: record.labels.clone(),
            addr: record.addr,
            data_path_addr: record.data_path_addr,
            version: record.version.clone(),
            features: record.features,
        };
        // Two seeds of one history draw the same.
        let drawn = raft_id as u32;
        let replace = ReplaceManagers { survivor, manager, drawn };
        let request = self.fresh_request();
        self.propose(request, Command::ReplaceManagers(Box::new(replace))).map(drop)
    }

    fn knows_all(&self, at: usize) -> bool {
        self.replicas[at].state.revision() == self.log.end()
            && self.group.voters.contains_key(&self.replicas[at].raft_id)
    }
}
