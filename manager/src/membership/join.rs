//! A manager comes into Raft: dialled first, learner next, voter when it has caught up, on record last.
//! Knows: the order of these steps. Must not know: who asked (that was judged before).

use super::failed;
use crate::seat::Seat;
use std::net::SocketAddr;
use std::time::Duration;
use swarm_model::{ManagerInfo, MemberState, NodeId};
use swarm_proto::{ConvertError, parse, v1};
use swarm_raft::Member;
use swarm_state::Command;
use tokio::time::timeout;
use tonic::Status;

/// A manager that does not answer within this time would not be heard as a voter either.
const DIAL_DEADLINE: Duration = Duration::from_secs(3);
/// Longest wait for another change of members to finish.
const TURN_DEADLINE: Duration = Duration::from_secs(30);

pub struct Joiner {
    node: NodeId,
    raft_id: u64,
    addr: SocketAddr,
}

impl Joiner {
    pub fn read(node: NodeId, request: &v1::JoinRaftRequest) -> Result<Self, ConvertError> {
        let addr: SocketAddr = parse("addr", &request.addr, "an address as in 192.0.2.1:2377")?;
        if request.raft_id == 0 || addr.ip().is_unspecified() || addr.port() == 0 {
            return Err(ConvertError::new(
                "addr",
                &request.addr,
                "an address others can dial, and a Raft id",
            ));
        }
        Ok(Self { node, raft_id: request.raft_id, addr })
    }

    fn member(&self) -> Member {
        Member { node: self.node.to_string(), addr: self.addr }
    }
}

/// Returns when the joiner votes and is on record. Asked again, it finds done what was done.
pub async fn join(seat: &Seat, joiner: &Joiner) -> Result<(), Status> {
    let _turn = timeout(TURN_DEADLINE, seat.members.lock())
        .await
        .map_err(|_| Status::unavailable("another manager is joining or leaving: try again shortly"))?;
    if seat.raft.status().voters.get(&joiner.raft_id) != Some(&joiner.member()) {
        dial(seat, joiner).await?;
        make_voter(seat, joiner).await?;
    }
    let manager = ManagerInfo { raft_id: joiner.raft_id, addr: joiner.addr, member: MemberState::Voter };
    seat.propose_own(Command::SetManager { node: joiner.node, manager: Some(manager) }).await?;
    Ok(())
}

/// Nothing has changed yet when this refuses, but for the joiner's record: that is closed if it never was in use.
async fn dial(seat: &Seat, joiner: &Joiner) -> Result<(), Status> {
    let reason = match timeout(DIAL_DEADLINE, seat.links.dial(joiner.addr, joiner.node)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(reason)) => reason,
        Err(_) => format!("no answer within {} s", DIAL_DEADLINE.as_secs()),
    };
    let fresh = seat.applied.read(|state| {
        state.session(&joiner.node).is_none()
            && state.node(&joiner.node).is_some_and(|node| node.manager.is_none())
    });
    if fresh {
        let left = seat.propose_own(Command::LeaveNode { node: joiner.node }).await;
        tracing::info!(node = %joiner.node, closed = left.is_ok(), "a manager that cannot be reached did not join");
    }
    let from = seat.raft.status().leader.map_or_else(String::new, |(_, me)| format!(" from {}", me.addr));
    Err(Status::failed_precondition(format!(
        "cannot reach {}{from}: {reason}; check --advertise-addr and that this TCP port is open on the joining host",
        joiner.addr
    )))
}

async fn make_voter(seat: &Seat, joiner: &Joiner) -> Result<(), Status> {
    drop_earlier_selves(seat, joiner).await?;
    let added = match seat.raft.add_learner(joiner.raft_id, joiner.member()).await {
        Ok(()) => seat.raft.promote(joiner.raft_id).await,
        failed => failed,
    };
    let Err(error) = added else {
        return Ok(());
    };
    // A learner that never became a voter costs nothing; it is taken out so that the next attempt starts clean.
    if let Err(e) = seat.raft.remove(joiner.raft_id).await {
        tracing::warn!(node = %joiner.node, reason = %e, "a manager that did not join is still a learner");
    }
    Err(failed("the manager could not become a voter", &error))
}

/// A manager that lost its log comes back under a new Raft id; what it was before never votes again.
async fn drop_earlier_selves(seat: &Seat, joiner: &Joiner) -> Result<(), Status> {
    let status = seat.raft.status();
    let node = joiner.node.to_string();
    let members = status.voters.iter().chain(&status.learners);
    let earlier = members.filter(|(id, member)| member.node == node && **id != joiner.raft_id);
    for (id, _) in earlier {
        let removed = seat.raft.remove(*id).await;
        removed.map_err(|e| failed("the manager's earlier self could not be removed from Raft", &e))?;
    }
    Ok(())
}
