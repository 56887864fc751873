//! One manager in figures, for whoever watches over it. Knows where they are; must not know how they are shown.

use crate::seat::Seat;
use std::collections::BTreeMap;
use swarm_model::NodeState;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub term: u64,
    pub leads: bool,
    /// Whether any leader is known.
    pub has_leader: bool,
    pub voters: usize,
    pub applied: u64,
    pub last_index: u64,
    /// Open with this manager.
    pub sessions: usize,
    pub nodes: BTreeMap<NodeState, usize>,
    pub networks: usize,
    pub endpoints: usize,
    pub audit_lines: u64,
    pub audit_lines_lost: u64,
}

pub fn figures(seat: &Seat) -> Figures {
    use NodeState::{Disconnected, Down, Pending, Ready, Unknown};
    let raft = seat.raft.status();
    let (audit_lines, audit_lines_lost) = seat.audit.counts();
    let mut nodes: BTreeMap<_, _> = [Pending, Ready, Unknown, Down, Disconnected].map(|s| (s, 0)).into();
    let (networks, endpoints) = seat.applied.read(|state| {
        for node in state.nodes() {
            *nodes.entry(node.status.state).or_default() += 1;
        }
        (state.networks().len(), state.endpoints().len())
    });
    Figures {
        term: raft.term,
        leads: raft.role == swarm_raft::Role::Leader,
        has_leader: raft.leader.is_some(),
        voters: raft.voters.len(),
        applied: raft.applied,
        last_index: raft.last_index,
        sessions: seat.applied.hub().count(),
        nodes,
        networks,
        endpoints,
        audit_lines,
        audit_lines_lost,
    }
}
