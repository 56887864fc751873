//! The end of a world: no more faults, everybody finishes what they began, and then everything must be as the log
//! says, on every replica, in every assignment, in every kernel.

use crate::replica::Replica;
use crate::worker::Worker;
use crate::world::World;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use swarm_model::{Assigned, EndpointId, Id, MacAddr, NetworkId, NodeId, Vni};
use swarm_overlay::{OverlayNs, Scope};
use swarm_state::{Command, CreateEndpoints, Entry, NewEndpoint, REST_MS, Refusal, Reply, State, apply};

/// Rounds in which everybody does all that is to do: far more than it takes.
const ROUNDS: usize = 60;

impl World {
    pub fn settle(&mut self) -> Result<(), String> {
        self.faults = false;
        self.heal()?;
        while !self.late.is_empty() {
            self.arrive_late()?;
        }
        self.close_streams(|stream| stream.lossy);
        for _ in 0..ROUNDS {
            if self.round()? {
                self.check()?;
                self.check_roles()?;
                self.judge_labels()?;
                return self.check_rests_end();
            }
        }
        let alone =
            |at: &usize| !self.workers[*at].left && self.streams.iter().all(|stream| stream.worker != *at);
        let alone: Vec<String> = (0..self.workers.len()).filter(alone).map(|at| self.describe(at)).collect();
        let (calls, busy) = (self.calls.len(), self.settle_roles()?);
        Err(format!(
            "not settled after {ROUNDS} rounds: {calls} calls, roles {}, without a session {alone:?}",
            if busy { "settled" } else { "not settled" },
        ))
    }

    fn describe(&self, at: usize) -> String {
        let Worker { node, up, admitted, held, .. } = &self.workers[at];
        let record = self.log.truth.node(node).map(|node| (node.role, node.status.state, node.votes()));
        format!("{node} (up: {up}, admitted: {admitted}, told {:?}, on record {record:?})", held.role)
    }

    /// Everybody runs and reaches everybody, and somebody leads.
    fn heal(&mut self) -> Result<(), String> {
        self.replicas.iter_mut().for_each(|replica| replica.cut = false);
        let nodes: Vec<NodeId> = self.workers.iter().map(|worker| worker.node).collect();
        nodes.iter().try_for_each(|node| self.start_host(node))?;
        self.elect();
        match self.decides() {
            true => nodes.iter().try_for_each(|node| self.start_host(node)),
            false => Err("everybody runs, and nobody can lead".to_owned()),
        }
    }

    /// Roles, records and Raft's members; true when there was nothing left to do.
    fn settle_roles(&mut self) -> Result<bool, String> {
        let mut idle = !self.look_after()?;
        for at in 0..self.workers.len() {
            idle &= !self.follow(at)?;
        }
        self.answer_reads();
        self.check_managers()?;
        Ok(idle)
    }

    /// True when there was nothing left to do.
    fn round(&mut self) -> Result<bool, String> {
        self.now_ms += 1_000;
        let releasing: usize = self.workers.iter().map(|worker| worker.releasing.len()).sum();
        let (calls, sessions) = (self.calls.len(), self.streams.len());
        self.tell(format_args!(
            "a round: {calls} calls, {sessions} sessions, {releasing} endpoints to give back"
        ));
        let end = self.log.end();
        let mut idle = self.calls.is_empty();
        while !self.calls.is_empty() {
            self.try_call()?;
        }
        for at in 0..self.replicas.len() {
            self.advance(at, usize::MAX)?;
            // Once more: a snapshot may have been all it got.
            self.advance(at, usize::MAX)?;
        }
        for at in 0..self.workers.len() {
            idle &= self.workers[at].releasing.is_empty();
            self.release_of(at);
        }
        idle &= self.settle_roles()?;
        (0..self.workers.len() * 8).for_each(|_| self.connect());
        for at in (0..self.streams.len()).rev() {
            idle &= !self.pump(at);
        }
        while let Some(at) = self.streams.iter().position(|stream| !stream.queue.is_empty()) {
            self.deliver(at)?;
        }
        for worker in &mut self.workers {
            idle &= worker.reconcile(&mut self.rng, false)? == 0;
        }
        let members = self.workers.iter().filter(|worker| !worker.left).count();
        Ok(idle && self.log.end() == end && self.calls.is_empty() && self.streams.len() == members)
    }

    /// Whatever the clocks did, an address that was released is free again a rest later.
    fn check_rests_end(&self) -> Result<(), String> {
        let Some(worker) = self.workers.iter().find(|worker| !worker.left) else { return Ok(()) };
        let mut state = self.log.truth.clone();
        let networks: Vec<_> = state.networks().map(|network| network.id).collect();
        let mut now_ms = self.now_ms.saturating_add_signed(self.leader().map_or(0, |leader| leader.skew_ms));
        for network in networks {
            now_ms += REST_MS;
            let name = "probe".parse().map_err(|e: swarm_model::NameError| e.to_string())?;
            let (id, sandbox) = (Id::from_random([1; 16]), Id::from_random([1; 16]));
            let probe = NewEndpoint { id, network, sandbox, name, aliases: Vec::new(), ip: None, mac: None };
            let command = CreateEndpoints { node: worker.node, endpoints: vec![probe] };
            let entry = Entry { request: None, now_ms, command: Command::CreateEndpoints(command) };
            let index = state.revision() + 1;
            if let Reply::Refused(refusal @ Refusal::AddressesResting { .. }) =
                apply(&mut state, index, &entry).reply
            {
                return Err(format!("a rest after the last release: {refusal}"));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        self.log.check_invariants()?;
        let truth = &self.log.truth;
        for (at, replica) in self.replicas.iter().enumerate().filter(|(_, replica)| !replica.gone) {
            if replica.state != *truth {
                let Replica { raft_id, up, past, state, .. } = replica;
                let (member, revision) = (self.group.has(*raft_id), state.revision());
                return Err(format!(
                    "replica {at} is not what the log says: raft {raft_id} (a member: {member}, up: {up}, of the past: \
                     {past}) is at {revision}, and the log at {}",
                    truth.revision()
                ));
            }
        }
        for (at, worker) in self.workers.iter().enumerate() {
            check_worker(worker, truth)
                .map_err(|problem| format!("worker {at} ({}): {problem}", worker.node))?;
        }
        let known: BTreeSet<EndpointId> = self.workers.iter().flat_map(Worker::known).collect();
        match truth.endpoints().find(|endpoint| !known.contains(&endpoint.id)) {
            Some(leaked) => Err(format!("nobody knows endpoint {} of {}", leaked.id, leaked.node)),
            None => Ok(()),
        }
    }
}

fn check_worker(worker: &Worker, truth: &State) -> Result<(), String> {
    let assigned = truth.assigned(&worker.node);
    if !worker.left && (Assigned { revision: assigned.revision, ..worker.held.clone() }) != assigned {
        return Err(format!("holds {:?}\nbut is assigned {assigned:?}", worker.held));
    }
    for endpoint in worker.records.values().flat_map(|record| &record.acknowledged) {
        if truth.endpoint(&endpoint.id) != Some(endpoint) {
            return Err(format!("endpoint {} was acknowledged and is not there as it was", endpoint.id));
        }
    }
    check_kernel(worker, truth)
}

/// The tables of each host, said again without `Desired`: entries for every endpoint of other hosts on networks that
/// have a port here, ports for its own, and nothing else.
fn check_kernel(worker: &Worker, truth: &State) -> Result<(), String> {
    let own: BTreeSet<NetworkId> =
        truth.endpoints_of(&worker.node).map(|endpoint| endpoint.network).collect();
    let segments = &worker.kernel.observed.segments;
    let scopes: BTreeSet<Scope> = own.iter().map(|network| Scope::Overlay(OverlayNs::of(*network))).collect();
    if segments.keys().copied().filter(|scope| *scope != Scope::Gateway).collect::<BTreeSet<_>>() != scopes {
        return Err(format!("has {:?} where {scopes:?} should be", segments.keys()));
    }
    let guard = segments.get(&Scope::Gateway).and_then(|segment| segment.guard.as_deref());
    let guarded: BTreeSet<Vni> =
        guard.into_iter().flat_map(|guard| guard.plain.union(&guard.encrypted)).copied().collect();
    if guarded != own.iter().filter_map(|id| Some(truth.network(id)?.vni)).collect() {
        return Err(format!("guards {guarded:?} where its networks are {own:?}"));
    }
    for network in own {
        let Some(segment) = segments.get(&Scope::Overlay(OverlayNs::of(network))) else { continue };
        let others = || truth.endpoints_on(&network).filter(|endpoint| endpoint.node != worker.node);
        let vtep = |endpoint: &swarm_model::Endpoint| Some(truth.node(&endpoint.node)?.data_path_addr);
        let fdb: BTreeMap<MacAddr, Option<IpAddr>> = others().map(|e| (e.mac, vtep(e))).collect();
        let neighbours: BTreeMap<IpAddr, MacAddr> =
            others().flat_map(|endpoint| endpoint.ips().map(|ip| (ip, endpoint.mac))).collect();
        if segment.fdb.iter().map(|(mac, entry)| (*mac, entry.vtep)).collect::<BTreeMap<_, _>>() != fdb {
            return Err(format!("forwards {:?} where {fdb:?} should be", segment.fdb));
        }
        if segment.neighbours != neighbours {
            return Err(format!("answers for {:?} where {neighbours:?} should be", segment.neighbours));
        }
        // Each interface has its link-local address besides.
        let on_link = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let addresses = segment.ports.values().flat_map(|port| port.addresses.clone());
        let addresses: BTreeSet<IpNet> = addresses.filter(|net| !on_link(net.addr())).collect();
        let here = truth.endpoints_on(&network).filter(|endpoint| endpoint.node == worker.node);
        if addresses != here.flat_map(|endpoint| endpoint.addresses.clone()).collect() {
            return Err(format!("has {addresses:?} on network {network}"));
        }
    }
    Ok(())
}
