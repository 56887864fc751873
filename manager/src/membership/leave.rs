//! A manager goes: out of Raft first, off the record next.
//! Knows: the order of these steps. Must not know: who asked (that was judged before).

use super::failed;
use crate::leader::others_decide;
use crate::seat::Seat;
use swarm_model::NodeId;
use swarm_raft::Status as RaftStatus;
use swarm_state::Command;
use tonic::Status;

/// Takes the node out of Raft and off the record. Asked again, it finds done what was done.
pub async fn leave(seat: &Seat, node: NodeId) -> Result<(), Status> {
    let _turn = seat.members.lock().await;
    let status = seat.raft.status();
    let member = |id: &&u64| {
        let found = status.voters.get(id).or_else(|| status.learners.get(id));
        found.is_some_and(|member| member.node == node.to_string())
    };
    let ids: Vec<u64> = status.voters.keys().chain(status.learners.keys()).filter(member).copied().collect();
    for id in ids {
        check(&status, id)?;
        let removed = seat.raft.remove(id).await;
        removed.map_err(|e| failed("the manager could not be taken out of Raft", &e))?;
    }
    seat.propose_own(Command::LeaveNode { node }).await?;
    Ok(())
}

fn check(status: &RaftStatus, id: u64) -> Result<(), Status> {
    if id == status.id {
        return Err(Status::unavailable(
            "the leader hands leadership over before it leaves: ask the next one",
        ));
    }
    if status.voters.contains_key(&id) && !others_decide(status, id) {
        return Err(Status::failed_precondition(
            "without this manager the others would have no quorum: bring back the managers that are away first, \
             or leave with --force",
        ));
    }
    Ok(())
}
