//! This manager comes into Raft, or goes.
//! Knows: whom to ask and for how long. Must not know: what the leader does then (that is `membership`).

use crate::leader::heir;
use crate::leadership::{Leader, leader, settle};
use crate::manager::{Manager, ManagerError};
use crate::membership::give_up_role;
use std::time::Duration;
use swarm_identity::Dialler;
use swarm_proto::v1;
use swarm_proto::v1::membership_client::MembershipClient;
use swarm_raft::{Member, MemberError, Status as RaftStatus};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

/// Longest a joining manager tries: catching up with a large state over a slow line takes its time.
const JOIN_DEADLINE: Duration = Duration::from_secs(60);
/// One attempt: the leader's dial, catching up, two changes of members.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(200);
const LEAVE_DEADLINE: Duration = Duration::from_secs(15);
/// For another manager than the leader to answer, while none is known.
const ASK_DEADLINE: Duration = Duration::from_secs(2);

pub async fn join(manager: &Manager, managers: &[String]) -> Result<(), ManagerError> {
    let deadline = Instant::now() + JOIN_DEADLINE;
    let mut last = Status::unavailable("no manager to join was named: give at least one HOST:PORT");
    loop {
        for addr in managers {
            match attempt(manager, addr).await {
                Ok(()) => return settled(manager, deadline).await,
                Err(status) if is_final(&status) => return Err(ManagerError::Refused(status)),
                Err(status) => last = status,
            }
        }
        if Instant::now() + PAUSE >= deadline || managers.is_empty() {
            return Err(ManagerError::Refused(last));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// True for a decision; false for what another manager or another moment may change.
fn is_final(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted | Code::Unknown | Code::Cancelled
    )
}

async fn attempt(manager: &Manager, addr: &str) -> Result<(), Status> {
    let seat = &manager.seat;
    let channel = Dialler::new(seat.credentials.clone()).to_manager(addr).await.map_err(|e| e.to_status())?;
    let addr_here = seat.addresses.own().addr.to_string();
    let request = v1::JoinRaftRequest { raft_id: seat.raft.status().id, addr: addr_here };
    let mut client = MembershipClient::new(channel);
    let late =
        |_| Status::deadline_exceeded(format!("{addr} did not take this manager in within the time allowed"));
    timeout(ATTEMPT_DEADLINE, client.join_raft(request)).await.map_err(late)??;
    Ok(())
}

/// The leader has made this manager a voter; waits until it knows so itself and has the cluster's state.
async fn settled(manager: &Manager, deadline: Instant) -> Result<(), ManagerError> {
    let raft = &manager.seat.raft;
    let here = |status: &RaftStatus| {
        status.stopped.is_some() || (status.voters.contains_key(&status.id) && manager.has_cluster())
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let mut status = raft.watch_status();
    match timeout(left, status.wait_for(here)).await {
        Ok(_) => Ok(()),
        Err(_) => Err(ManagerError::Refused(Status::deadline_exceeded(
            "this manager was taken in, but has not received the cluster's state in time: it goes on catching up",
        ))),
    }
}

/// A refusal is taken for the last word, where leaving is forced, when it has been given for so long: another manager may
/// just be leaving.
const REFUSED_FOR: Duration = Duration::from_secs(5);

enum Step {
    Done,
    Again,
}

pub async fn leave(manager: &Manager, force: bool) -> Result<(), ManagerError> {
    let deadline = Instant::now() + LEAVE_DEADLINE;
    let raft = &manager.seat.raft;
    let mut last = Status::unavailable("the managers have no leader: nobody can take this one out of Raft");
    let mut refused: Option<Instant> = None;
    loop {
        match step(manager, force).await {
            Ok(Step::Done) => return Ok(()),
            Ok(Step::Again) => {}
            Err(ManagerError::Refused(status)) if !is_final(&status) => last = status,
            Err(_) if force && refused.get_or_insert_with(Instant::now).elapsed() >= REFUSED_FOR => {
                return Ok(());
            }
            Err(_) if force => {}
            Err(error) => return Err(error),
        }
        if !settle(raft, deadline).await {
            return if force { Ok(()) } else { Err(ManagerError::Refused(last)) };
        }
    }
}

async fn step(manager: &Manager, force: bool) -> Result<Step, ManagerError> {
    let seat = &manager.seat;
    let status = seat.raft.status();
    match leader(&status) {
        _ if !status.voters.keys().any(|id| *id != status.id) => {
            if force {
                Ok(Step::Done)
            } else {
                Err(ManagerError::LastManager)
            }
        }
        Leader::Here => hand_over(manager, &status).await.map(|()| Step::Again),
        Leader::Nowhere => ask_anybody(manager, &status).await,
        Leader::There(member) => match ask_to_let_go(manager, &member, LEAVE_DEADLINE).await {
            Err(ManagerError::Refused(refused)) if !is_final(&refused) => ask_anybody(manager, &status).await,
            answer => answer,
        },
    }
}

/// Whom Raft has let go of already hears of no leader any more, or names the last one it heard of; the others know.
async fn ask_anybody(manager: &Manager, status: &RaftStatus) -> Result<Step, ManagerError> {
    let others = status.voters.iter().filter(|(id, _)| **id != status.id);
    let asked = others.map(|(_, member)| ask_to_let_go(manager, member, ASK_DEADLINE));
    let answers = futures::future::join_all(asked).await;
    match answers.iter().any(|answer| matches!(answer, Ok(Step::Done))) {
        true => Ok(Step::Done),
        false => Ok(Step::Again),
    }
}

async fn ask_to_let_go(manager: &Manager, member: &Member, deadline: Duration) -> Result<Step, ManagerError> {
    let asked = async {
        let client = manager.seat.links.membership(member).await;
        let mut client = client.map_err(|e| Status::unavailable(e.to_string()))?;
        client.leave_raft(v1::LeaveRaftRequest {}).await
    };
    match timeout(deadline, asked).await {
        Ok(Ok(_)) => Ok(Step::Done),
        // The leader has let go of it already, or it is no member any more.
        Ok(Err(status)) if status.code() == Code::PermissionDenied => Ok(Step::Done),
        Ok(Err(status)) => Err(ManagerError::Refused(status)),
        Err(_) => Ok(Step::Again),
    }
}

/// To a voter that is heard; the others would only lose the leader. On record as leaving first: then nobody hands over to
/// this one again.
async fn hand_over(manager: &Manager, status: &RaftStatus) -> Result<(), ManagerError> {
    let seat = &manager.seat;
    if !status.voters.keys().any(|id| *id != status.id && status.heard.contains(id)) {
        return Err(ManagerError::Refused(Status::failed_precondition(
            "no other manager is heard that could lead: bring them back first, or leave with --force",
        )));
    }
    give_up_role(seat, seat.me().node).await.map_err(ManagerError::Refused)?;
    let Some(heir) = seat.applied.read(|state| heir(status, state)) else {
        return Err(ManagerError::Refused(Status::unavailable(
            "the managers that stay are not heard yet: ask again in a moment",
        )));
    };
    match manager.seat.raft.transfer_leader(heir).await {
        Ok(()) | Err(MemberError::NotLeader(_) | MemberError::Unknown) => Ok(()),
        Err(e @ (MemberError::Refused(_) | MemberError::Stopped(_))) => {
            Err(ManagerError::Refused(Status::unavailable(e.to_string())))
        }
    }
}
