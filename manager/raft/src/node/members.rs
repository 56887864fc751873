//! Changing who belongs to the group and who leads it.
//!
//! Knows: the steps of each change and that another may be under way. Must not know: who may ask for one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use openraft::{ChangeMembers, RaftMetrics};
use tokio::time::{Instant, timeout, timeout_at};

use super::Inner;
use super::answers::{Change, fatal_reason, member_error};
use crate::api::Member;
use crate::error::MemberError;
use crate::types::{StoredMembership, Types};

/// For a new member to receive a snapshot and the log after it.
const CATCH_UP: Duration = Duration::from_secs(60);

pub async fn bootstrap(node: &Inner, me: Member) -> Result<(), MemberError> {
    node.raft.initialize(BTreeMap::from([(node.id, me)])).await.map_err(|error| match error {
        RaftError::APIError(InitializeError::NotAllowed(_)) => {
            MemberError::Refused("this manager already belongs to a Raft group".to_owned())
        }
        RaftError::APIError(error) => MemberError::Refused(error.to_string()),
        RaftError::Fatal(fatal) => MemberError::Stopped(fatal_reason(&fatal)),
    })?;
    node.raft.trigger().elect(false).await.map_err(|fatal| MemberError::Stopped(fatal_reason(&fatal)))?;
    let until = Instant::now() + node.patience();
    // Ready once the first entry of its own term is applied: then proposals and reads go through at once.
    wait(node, until, |m| {
        m.current_leader == Some(m.id) && m.last_applied.map(|id| id.index) == m.last_log_index
    })
    .await
}

pub async fn add_learner(node: &Inner, id: u64, member: Member) -> Result<(), MemberError> {
    let known = metrics(node, |m| m.membership_config.get_node(&id).cloned());
    match known {
        Some(known) if known != member => {
            return Err(MemberError::Refused(format!(
                "Raft id {id} already stands for {known}; join under a fresh id"
            )));
        }
        Some(_) => {}
        None => change(node, ChangeMembers::AddNodes(BTreeMap::from([(id, member)])), true).await?,
    }
    caught_up(node, id).await
}

pub async fn update(node: &Inner, id: u64, member: Member) -> Result<(), MemberError> {
    if !node.is_leader() {
        return Err(MemberError::NotLeader(current_leader(node)));
    }
    let (known, committed) = metrics(node, |m| {
        let member_of = |membership: &StoredMembership| membership.get_node(&id).cloned();
        (member_of(&m.membership_config), member_of(&m.committed_membership_config))
    });
    let Some(known) = known else {
        return Err(MemberError::Refused(format!(
            "Raft id {id} is no member, so it has no address to change; add it as a learner first"
        )));
    };
    if known.node != member.node {
        return Err(MemberError::Refused(format!(
            "Raft id {id} stands for node {} and not for {}; join under a fresh id",
            known.node, member.node
        )));
    }
    if known == member && committed.as_ref() == Some(&member) {
        return Ok(());
    }
    change(node, ChangeMembers::SetNodes(BTreeMap::from([(id, member)])), true).await
}

pub async fn promote(node: &Inner, id: u64) -> Result<(), MemberError> {
    let (voter, known) = metrics(node, |m| {
        (m.membership_config.voter_ids().any(|v| v == id), m.membership_config.get_node(&id).is_some())
    });
    if voter && node.is_leader() {
        return Ok(());
    }
    if !known && node.is_leader() {
        return Err(MemberError::Refused(format!("Raft id {id} is no member; add it as a learner first")));
    }
    caught_up(node, id).await?;
    change(node, ChangeMembers::AddVoterIds(BTreeSet::from([id])), true).await
}

pub async fn remove(node: &Inner, id: u64) -> Result<(), MemberError> {
    let (voters, known): (BTreeSet<u64>, bool) = metrics(node, |m| {
        (m.membership_config.voter_ids().collect(), m.membership_config.get_node(&id).is_some())
    });
    if !known && node.is_leader() {
        return Ok(());
    }
    if voters == BTreeSet::from([id]) {
        return Err(MemberError::Refused(
            "the last voter cannot be removed; nobody would be left to decide".to_owned(),
        ));
    }
    let ids = BTreeSet::from([id]);
    let members =
        if voters.contains(&id) { ChangeMembers::RemoveVoters(ids) } else { ChangeMembers::RemoveNodes(ids) };
    change(node, members, false).await
}

pub async fn transfer_leader(node: &Inner, to: u64, patience: Duration) -> Result<(), MemberError> {
    if !node.is_leader() {
        return Err(MemberError::NotLeader(current_leader(node)));
    }
    if to == node.id {
        return Ok(());
    }
    if !metrics(node, |m| m.membership_config.voter_ids().any(|voter| voter == to)) {
        return Err(MemberError::Refused(format!("Raft id {to} is no voter and cannot lead")));
    }
    node.raft
        .trigger()
        .transfer_leader(to)
        .await
        .map_err(|fatal| MemberError::Stopped(fatal_reason(&fatal)))?;
    wait(node, Instant::now() + patience, |m| m.current_leader == Some(to)).await
}

/// One membership change, once those under way are through.
async fn change(node: &Inner, members: ChangeMembers<u64, Member>, retain: bool) -> Result<(), MemberError> {
    let until = Instant::now() + node.patience();
    let _turn = timeout_at(until, node.changing.lock()).await.map_err(|_| {
        MemberError::Refused("other changes of Raft members are under way; try again".to_owned())
    })?;
    loop {
        // A change that another leader began, and that is finished with this one, may be this manager's own removal: it leads
        // for a moment more, and has no say any more.
        if metrics(node, |m| m.membership_config.get_node(&node.id).is_none()) {
            return Err(MemberError::NotLeader(None));
        }
        let step = timeout_at(until, node.raft.change_membership(members.clone(), retain));
        match step.await.map_err(|_| MemberError::Unknown)?.map_err(member_error) {
            Ok(_) => return Ok(()),
            Err(Change::Failed(error)) => return Err(error),
            Err(Change::Busy) => settled(node, until).await?,
        }
    }
}

/// Waits until no membership change is under way.
async fn settled(node: &Inner, until: Instant) -> Result<(), MemberError> {
    // The metrics may not show yet what made openraft say it is busy.
    tokio::time::sleep(Duration::from_millis(5)).await;
    wait(node, until, |m| {
        m.membership_config == m.committed_membership_config && m.last_quorum_acked.is_some()
    })
    .await
}

async fn caught_up(node: &Inner, id: u64) -> Result<(), MemberError> {
    if !node.is_leader() {
        return Err(MemberError::NotLeader(current_leader(node)));
    }
    let goal = metrics(node, |m| m.last_log_index);
    let matched = |m: &RaftMetrics<Types>| m.replication.as_ref().and_then(|r| r.get(&id).copied().flatten());
    let done =
        |m: &RaftMetrics<Types>| m.current_leader != Some(m.id) || matched(m).map(|id| id.index) >= goal;
    match wait(node, Instant::now() + CATCH_UP, done).await {
        Ok(()) if node.is_leader() => Ok(()),
        Ok(()) => Err(MemberError::NotLeader(current_leader(node))),
        Err(MemberError::Unknown) => Err(MemberError::Refused(format!(
            "Raft id {id} did not catch up within {CATCH_UP:?}; check that this manager reaches it"
        ))),
        Err(error) => Err(error),
    }
}

/// Waits for openraft's metrics to show something. `Unknown` when they do not in time.
async fn wait(
    node: &Inner,
    until: Instant,
    seen: impl Fn(&RaftMetrics<Types>) -> bool,
) -> Result<(), MemberError> {
    let mut watched = node.raft.metrics();
    loop {
        {
            let metrics = watched.borrow_and_update();
            if let Err(fatal) = &metrics.running_state {
                return Err(MemberError::Stopped(fatal_reason(fatal)));
            }
            if seen(&metrics) {
                return Ok(());
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left, watched.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(MemberError::Stopped(node.stop_reason())),
            Err(_) => return Err(MemberError::Unknown),
        }
    }
}

fn metrics<T>(node: &Inner, read: impl FnOnce(&RaftMetrics<Types>) -> T) -> T {
    let watched = node.raft.metrics();
    let metrics = watched.borrow_watched();
    read(&metrics)
}

fn current_leader(node: &Inner) -> Option<(u64, Member)> {
    metrics(node, |m| m.current_leader.and_then(|id| Some((id, m.membership_config.get_node(&id)?.clone()))))
}
