//! One worker: its records, the assignment it holds, its model kernel. Does what a worker does: to the disk with what was
//! answered, and not with what was asked; look at the kernel, difference, apply; give back what it is assigned and does
//! not know.

use crate::kernel::Kernel;
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use swarm_model::{Assigned, Assignment, Endpoint, EndpointId, FEATURE_LEVEL, NodeId, SandboxId};
use swarm_overlay::{Desired, HostFacts, LocalSandbox, diff};
use swarm_state::RegisterNode;

/// A sandbox as it stands on the worker's list.
pub struct Record {
    pub endpoints: BTreeMap<EndpointId, Arc<str>>,
    /// What the answer said they are. Empty until it is there; until then the record is not on disk.
    pub acknowledged: Vec<Arc<Endpoint>>,
}

pub struct Worker {
    pub node: NodeId,
    pub up: bool,
    pub left: bool,
    /// It was let in.
    pub admitted: bool,
    /// The feature level its daemon knows.
    pub features: u32,
    pub data_path_addr: IpAddr,
    /// On disk.
    pub held: Assigned,
    pub records: BTreeMap<SandboxId, Record>,
    /// On disk: given up, but not known to be released.
    pub releasing: BTreeSet<EndpointId>,
    pub kernel: Kernel,
}

impl Worker {
    pub fn new(node: NodeId, data_path_addr: IpAddr) -> Self {
        Self {
            node,
            up: true,
            left: false,
            admitted: false,
            features: FEATURE_LEVEL,
            data_path_addr,
            held: Assigned::default(),
            records: BTreeMap::new(),
            releasing: BTreeSet::new(),
            kernel: Kernel::default(),
        }
    }

    pub fn registration(&self, session: swarm_model::SessionId, manager: NodeId) -> RegisterNode {
        RegisterNode {
            node: self.node,
            session,
            manager,
            hostname: format!("host-{}", self.node.short()),
            addr: self.data_path_addr,
            data_path_addr: self.data_path_addr,
            version: "0.1.0".to_owned(),
            features: self.features,
        }
    }

    /// Out of the cluster: nothing of it is kept here.
    pub fn end(&mut self) {
        (self.left, self.up) = (true, true);
        self.records.clear();
        self.releasing.clear();
    }

    /// All it has on record, asked for or answered.
    pub fn known(&self) -> BTreeSet<EndpointId> {
        self.records.values().flat_map(|record| record.endpoints.keys().copied()).collect()
    }

    /// `Ok(false)`: the message did not fit, so the session must begin again.
    pub fn take(&mut self, assignment: Assignment) -> Result<bool, String> {
        if let Assignment::Complete(whole) = &assignment
            && whole.revision < self.held.revision
        {
            let (from, to) = (self.held.revision, whole.revision);
            return Err(format!("the whole of a new session went back from revision {from} to {to}"));
        }
        let before = self.held.clone();
        let fits = self.held.take(assignment).is_ok();
        if !fits && self.held != before {
            return Err("a message that did not fit changed the assignment".to_owned());
        }
        let known = self.known();
        let mine = self.held.endpoints.values().filter(|endpoint| endpoint.node == self.node);
        self.releasing.extend(mine.map(|endpoint| endpoint.id).filter(|id| !known.contains(id)));
        Ok(fits)
    }

    pub fn forget(&mut self, sandbox: &SandboxId) {
        if let Some(record) = self.records.remove(sandbox) {
            self.releasing.extend(record.endpoints.into_keys());
        }
    }

    /// Comes back after a crash: of a sandbox that was not answered nothing is known any more.
    pub fn start(&mut self) {
        self.up = true;
        self.records.retain(|_, record| !record.acknowledged.is_empty());
    }

    pub fn desired(&self, assigned: &Assigned) -> Desired {
        let sandboxes: Vec<LocalSandbox> = self.records.iter().map(local).collect();
        let facts = HostFacts {
            node: self.node,
            data_path_addr: self.data_path_addr,
            underlay_mtu: 1500,
            outside_mtu: 1500,
            lacks_esp: None,
            gateway: None,
        };
        if self.left { Desired::nothing() } else { Desired::derive(assigned, &sandboxes, &facts) }
    }

    /// Brings the kernel to what is desired and says how many steps that took. With `failing`, some steps fail and
    /// the rest of the pass is left undone.
    pub fn reconcile(&mut self, rng: &mut Rng, failing: bool) -> Result<usize, String> {
        let steps = diff(&self.kernel.observed, &self.desired(&self.held));
        for step in &steps {
            if failing && rng.percent(3) {
                return Ok(steps.len());
            }
            self.kernel.execute(step)?;
        }
        let rest = diff(&self.kernel.observed, &self.desired(&self.held));
        if rest.is_empty() { Ok(steps.len()) } else { Err(format!("a second pass would still do {rest:?}")) }
    }

    /// Somebody removes something by hand.
    pub fn damage(&mut self, rng: &mut Rng) {
        let segments: Vec<_> = self.kernel.observed.segments.values_mut().collect();
        let count = segments.len();
        let Some(segment) = segments.into_iter().nth(if count == 0 { 0 } else { rng.below(count) }) else {
            return;
        };
        match rng.below(4) {
            0 => segment.fdb.clear(),
            1 => segment.neighbours.clear(),
            2 => segment.ports.clear(),
            _ => segment.ports.values_mut().for_each(|port| port.addresses.clear()),
        }
    }
}

fn local((id, record): (&SandboxId, &Record)) -> LocalSandbox {
    let netns = format!("/run/swarmd/netns/sb-{}", id.short()).into();
    LocalSandbox { id: *id, netns, interfaces: record.endpoints.clone(), gateway: None }
}
