//! The barrier in front of a fresh read: what was committed before the question is in the answer.
//! Knows: read indexes and waiting for them. Must not know: what is read.

use crate::leadership::{Leader, leader_now, settle, while_it_leads};
use crate::links::Links;
use std::time::Duration;
use swarm_proto::v1;
use swarm_raft::{Member, RaftNode, ReadError, WaitError};
use tokio::time::Instant;

/// Longest a fresh read waits for a leader: an election takes about a second, a lost quorum for ever.
const READ_DEADLINE: Duration = Duration::from_millis(3_500);

/// Longest a caller waits, after this manager's start, for the state to be as far as it was before.
const RECOVERY_DEADLINE: Duration = Duration::from_secs(5);

/// Why no fresh answer can be given. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFresh {
    #[error(
        "the cluster has no leader: this manager hears no majority of managers; \
         check that more than half of them run and reach each other"
    )]
    NoLeader,
    #[error(
        "this manager has not caught up with the leader in time: try again shortly, or ask another manager"
    )]
    Behind,
    #[error(
        "this manager has just started and has not learnt from the others yet what was decided before: \
         try again shortly, or ask another manager"
    )]
    Recovering,
    #[error("this manager has just ended, as after a demotion: ask another manager ({0})")]
    Stopped(String),
}

/// Asks for read indexes; cheap to clone.
#[derive(Clone)]
pub struct Linearizer {
    raft: RaftNode,
    links: Links,
}

enum Attempt {
    Index(u64),
    NotNow,
    Stopped(String),
}

impl Linearizer {
    pub fn new(raft: RaftNode, links: Links) -> Self {
        Self { raft, links }
    }

    /// Returns once everything committed before the call is applied here.
    pub async fn barrier(&self) -> Result<(), NotFresh> {
        let deadline = Instant::now() + READ_DEADLINE;
        loop {
            match self.attempt(deadline).await {
                Attempt::Index(index) => return self.applied(index, deadline).await,
                Attempt::Stopped(reason) => return Err(NotFresh::Stopped(reason)),
                Attempt::NotNow if settle(&self.raft, deadline).await => {}
                Attempt::NotNow => return Err(NotFresh::NoLeader),
            }
        }
    }

    /// Returns once this manager's records are as new as those it has shown before its last restart.
    pub async fn recovered(&self) -> Result<(), NotFresh> {
        self.raft.wait_recovered(RECOVERY_DEADLINE).await.map_err(|error| match error {
            WaitError::Deadline { .. } | WaitError::Recovery { .. } => NotFresh::Recovering,
            WaitError::Stopped(reason) => NotFresh::Stopped(reason),
        })
    }

    /// Returns once this manager has applied an entry it knows to be committed.
    pub async fn applied_here(&self, index: u64) -> Result<(), NotFresh> {
        self.applied(index, Instant::now() + READ_DEADLINE).await
    }

    async fn applied(&self, index: u64, deadline: Instant) -> Result<(), NotFresh> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.raft.wait_applied(index, left).await {
            Ok(()) => Ok(()),
            Err(WaitError::Deadline { .. } | WaitError::Recovery { .. }) => Err(NotFresh::Behind),
            Err(WaitError::Stopped(reason)) => Err(NotFresh::Stopped(reason)),
        }
    }

    async fn attempt(&self, deadline: Instant) -> Attempt {
        match leader_now(&self.raft) {
            Leader::Here => self.here().await,
            Leader::There(member) => self.there(&member, deadline).await,
            Leader::Nowhere => Attempt::NotNow,
        }
    }

    async fn here(&self) -> Attempt {
        match self.raft.read_index().await {
            Ok(index) => Attempt::Index(index),
            Err(ReadError::Stopped(reason)) => Attempt::Stopped(reason),
            Err(ReadError::NotLeader(_) | ReadError::NoQuorum) => Attempt::NotNow,
        }
    }

    async fn there(&self, member: &Member, deadline: Instant) -> Attempt {
        let call = async {
            let mut client = self.links.membership(member).await.ok()?;
            let answer = client.read_index(v1::ReadIndexRequest {}).await;
            answer.inspect_err(|_| self.links.failed(member)).ok()
        };
        match while_it_leads(&self.raft, member, deadline, call).await.flatten() {
            Some(answer) => Attempt::Index(answer.into_inner().index),
            None => Attempt::NotNow,
        }
    }
}
