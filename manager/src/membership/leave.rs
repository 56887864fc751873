//! A manager goes: on record as one that is to be none first, so that two at once cannot both take what the others need to
//! decide; out of Raft next, off the record last.
//! Knows: the order of these steps. Must not know: who asked (that was judged before).

use super::failed;
use crate::failure::refusal;
use crate::leader::others_decide;
use crate::propose::ProposeFailed;
use crate::seat::Seat;
use std::time::Duration;
use swarm_model::{NodeId, NodeUpdate, Role};
use swarm_raft::Status as RaftStatus;
use swarm_state::{Command, Refusal, UpdateNode};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

/// Longest wait for those who leave before this one, and for a new leader to hear the others.
const TURN_DEADLINE: Duration = Duration::from_secs(5);
/// Between two looks at who is heard: a heartbeat.
const LOOK: Duration = Duration::from_millis(50);

/// Takes the node out of Raft and off the record. Asked again, it finds done what was done.
pub async fn leave(seat: &Seat, node: NodeId) -> Result<(), Status> {
    let deadline = Instant::now() + TURN_DEADLINE;
    give_up_role(seat, node).await?;
    let another = || Status::unavailable("another manager is just joining or leaving: ask again in a moment");
    let _turn = timeout_at(deadline, seat.members.lock()).await.map_err(|_| another())?;
    for id in members(&seat.raft.status(), node) {
        others_are_heard(seat, id, deadline).await?;
        let removed = seat.raft.remove(id).await;
        removed.map_err(|e| failed("the manager could not be taken out of Raft", &e))?;
    }
    seat.propose_own(Command::LeaveNode { node }).await?;
    Ok(())
}

/// From here on nobody counts on it, and whoever leads takes it out of Raft should this manager not get so far. Where the
/// record does not show that the others can decide, it stays as it is: whether they can, Raft knows better.
///
/// # Errors
/// The state's refusal: it is the last one.
pub async fn give_up_role(seat: &Seat, node: NodeId) -> Result<(), Status> {
    if seat.applied.read(|state| state.node(&node).is_some_and(|node| node.role == Role::Worker)) {
        return Ok(());
    }
    let update = NodeUpdate { role: Some(Role::Worker), ..NodeUpdate::default() };
    match seat.propose_own(Command::UpdateNode(UpdateNode { node, update, if_revision: None })).await {
        // It has gone already.
        Ok(_)
        | Err(ProposeFailed::Refused(
            Refusal::NodeLeft(_) | Refusal::NodeNotFound(_) | Refusal::QuorumAtRisk { .. },
        )) => Ok(()),
        Err(ProposeFailed::Refused(reason)) => Err(refusal(&reason)),
        Err(failed) => match Status::from(failed) {
            // Its worker has said good-bye already, and the leader hears its proposals no more.
            gone if gone.code() == Code::PermissionDenied => Ok(()),
            failed => Err(failed),
        },
    }
}

fn members(status: &RaftStatus, node: NodeId) -> Vec<u64> {
    let node = node.to_string();
    let members = status.voters.iter().chain(&status.learners);
    members.filter(|(_, member)| member.node == node).map(|(id, _)| *id).collect()
}

/// A leader of a moment ago has heard nobody yet.
async fn others_are_heard(seat: &Seat, id: u64, deadline: Instant) -> Result<(), Status> {
    loop {
        match check(&seat.raft.status(), id) {
            Err(Wait::More(status)) if Instant::now() + LOOK >= deadline => return Err(status),
            Err(Wait::More(_)) => tokio::time::sleep(LOOK).await,
            Err(Wait::Never(status)) => return Err(status),
            Ok(()) => return Ok(()),
        }
    }
}

/// Whether waiting may help.
#[derive(Debug)]
enum Wait {
    More(Status),
    Never(Status),
}

fn check(status: &RaftStatus, id: u64) -> Result<(), Wait> {
    if id == status.id || status.role != swarm_raft::Role::Leader {
        return Err(Wait::Never(Status::unavailable(
            "the leader hands leadership over before it leaves: ask the next one",
        )));
    }
    if status.voters.contains_key(&id) && !others_decide(status, id) {
        return Err(Wait::More(Status::failed_precondition(
            "without this manager the others would have no quorum: bring back the managers that are away first, \
             or leave with --force",
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::testing::status;

    /// Found by a breaker: the one before had just handed over to a leader that had heard nobody yet. It was told that the
    /// others had no quorum, and went without being taken out of Raft; the next one to leave took the quorum along.
    #[test]
    fn a_new_leader_waits_until_it_has_heard_the_others() {
        let heard = |ids: &[u64]| RaftStatus { heard: ids.iter().copied().collect(), ..status(&[1, 2, 3]) };
        assert!(matches!(check(&heard(&[1]), 2), Err(Wait::More(_))));
        assert!(matches!(check(&heard(&[1, 2]), 2), Err(Wait::More(_))));
        assert!(check(&heard(&[1, 3]), 2).is_ok());
        assert!(matches!(check(&heard(&[1, 2, 3]), 1), Err(Wait::Never(_))));
    }
}
