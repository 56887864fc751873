//! Where the leader is, and waiting for one.
//! Knows: Raft's status. Must not know: what the leader is wanted for.

use std::future::Future;
use std::time::Duration;
use swarm_raft::{Member, RaftNode, Role, Status};
use tokio::time::{Instant, timeout};

/// How long an attempt waits before it looks for the leader again.
const SETTLE: Duration = Duration::from_millis(20);

/// Who leads, as this manager sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leader {
    Here,
    There(Member),
    Nowhere,
}

/// Who leads by this status.
pub fn leader(status: &Status) -> Leader {
    of(status.role, status.id, status.leader.as_ref())
}

/// Who leads now.
pub fn leader_now(raft: &RaftNode) -> Leader {
    let (role, leader) = raft.leader();
    of(role, raft.id(), leader.as_ref())
}

fn of(role: Role, me: u64, leader: Option<&(u64, Member)>) -> Leader {
    match (role, leader) {
        (Role::Leader, _) => Leader::Here,
        (_, Some((id, member))) if *id != me => Leader::There(member.clone()),
        _ => Leader::Nowhere,
    }
}

/// Runs a call to `member` for as long as it leads and there is time. `None`: it was given up, its effect is unknown.
pub async fn while_it_leads<T>(
    raft: &RaftNode,
    member: &Member,
    deadline: Instant,
    call: impl Future<Output = T>,
) -> Option<T> {
    let mut status = raft.watch_status();
    let moved = status.wait_for(|now| leader(now) != Leader::There(member.clone()));
    tokio::select! {
        biased;
        answer = call => Some(answer),
        _ = moved => None,
        () = tokio::time::sleep_until(deadline) => None,
    }
}

/// Waits a moment for leadership to settle. False: the deadline has passed.
pub async fn settle(raft: &RaftNode, deadline: Instant) -> bool {
    let now = Instant::now();
    if now >= deadline {
        return false;
    }
    let pause = SETTLE.min(deadline - now);
    if leader_now(raft) == Leader::Nowhere {
        let mut status = raft.watch_status();
        // An error means that Raft has stopped; the next attempt says so.
        let _ =
            timeout(deadline - now, status.wait_for(|s| leader(s) != Leader::Nowhere || s.stopped.is_some()))
                .await;
    }
    tokio::time::sleep(pause).await;
    true
}
