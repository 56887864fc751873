//! What a Raft node reports of itself, from openraft's metrics. Pure, but for the age of acknowledgements.
//!
//! Knows: who counts as heard, and who may lead next. Must not know: how metrics are gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::{Instant, RaftMetrics, ServerState};

use super::answers::fatal_reason;
use crate::api::{Member, Role, Status};
use crate::config::Timing;
use crate::types::{LogId, Types, next_index};

/// How far the log and the machine have got.
pub struct Progress {
    pub applied: u64,
    pub last: Option<LogId>,
}

pub fn status(metrics: &RaftMetrics<Types>, progress: Progress, timing: &Timing) -> Status {
    let membership = &metrics.membership_config;
    let voter_ids: BTreeSet<u64> = membership.voter_ids().collect();
    let nodes = membership.nodes().map(|(id, member)| (*id, member.clone()));
    let (voters, learners): (BTreeMap<u64, Member>, BTreeMap<u64, Member>) =
        nodes.partition(|(id, _)| voter_ids.contains(id));
    Status {
        id: metrics.id,
        term: metrics.current_term,
        leader: leader(metrics),
        role: role(metrics),
        applied: progress.applied,
        last_index: progress.last.map_or(0, |id| id.index),
        last_term: progress.last.map_or(0, |id| id.committed_leader_id().term),
        voters,
        learners,
        heard: heard(metrics, Duration::from_millis(timing.election_max_ms)),
        stopped: metrics.running_state.as_ref().err().map(fatal_reason),
    }
}

/// The leader as this manager knows it.
pub fn leader(metrics: &RaftMetrics<Types>) -> Option<(u64, Member)> {
    let id = metrics.current_leader?;
    Some((id, metrics.membership_config.get_node(&id)?.clone()))
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

/// Whom a leader that stops hands over to: of the voters it hears, the one whose log goes farthest, so that it need not
/// wait for entries before it may lead.
pub fn successor(metrics: &RaftMetrics<Types>, timing: &Timing) -> Option<u64> {
    let matched = metrics.replication.as_ref()?;
    let voters: BTreeSet<u64> = metrics.membership_config.voter_ids().collect();
    let heard = heard(metrics, Duration::from_millis(timing.election_max_ms));
    let candidates = heard.iter().filter(|id| **id != metrics.id && voters.contains(id));
    candidates.max_by_key(|id| next_index(&matched.get(id).copied().flatten())).copied()
}
