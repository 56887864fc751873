//! What a Raft node reports of itself, from openraft's metrics. Pure, but for the age of acknowledgements.
//!
//! Knows: who counts as heard, and who may lead next. Must not know: how metrics are gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::{Instant, RaftMetrics, ServerState};

use super::answers::fatal_reason;
use crate::api::{Member, Role, Status};
use crate::config::Timing;
use crate::types::Types;

pub fn status(metrics: &RaftMetrics<Types>, applied: u64, timing: &Timing) -> Status {
    let membership = &metrics.membership_config;
    let voter_ids: BTreeSet<u64> = membership.voter_ids().collect();
    let nodes = membership.nodes().map(|(id, member)| (*id, member.clone()));
    let (voters, learners): (BTreeMap<u64, Member>, BTreeMap<u64, Member>) =
        nodes.partition(|(id, _)| voter_ids.contains(id));
    let leader = metrics.current_leader.and_then(|id| Some((id, membership.get_node(&id)?.clone())));
    Status {
        id: metrics.id,
        term: metrics.current_term,
        leader,
        role: role(metrics),
        applied,
        voters,
        learners,
        heard: heard(metrics, Duration::from_millis(timing.election_max_ms)),
        stopped: metrics.running_state.as_ref().err().map(fatal_reason),
    }
}

pub fn role(metrics: &RaftMetrics<Types>) -> Role {
    if metrics.running_state.is_err() {
        return Role::Stopped;
    }
    match metrics.state {
        ServerState::Leader => Role::Leader,
        ServerState::Candidate => Role::Candidate,
        ServerState::Follower => Role::Follower,
        ServerState::Learner => Role::Learner,
        ServerState::Shutdown => Role::Stopped,
    }
}

fn heard(metrics: &RaftMetrics<Types>, within: Duration) -> BTreeSet<u64> {
    let Some(acknowledged) = metrics.heartbeat.as_ref().filter(|_| role(metrics) == Role::Leader) else {
        return BTreeSet::new();
    };
    let recent = acknowledged.iter().filter(|(_, at)| at.is_some_and(|at| at.elapsed() <= within));
    recent.map(|(id, _)| *id).chain([metrics.id]).collect()
}

/// Whom a leader that stops hands over to: any voter it hears.
pub fn successor(status: &Status) -> Option<u64> {
    let mut heard = status.heard.iter().filter(|id| **id != status.id && status.voters.contains_key(id));
    heard.next().copied().filter(|_| status.role == Role::Leader)
}
