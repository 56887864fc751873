//! A node's good-bye: off the record, when it is the node itself that says it.
//! Knows: whose word counts. Must not know: connections, what a worker clears away at home.

use super::registration::LastSession;
use crate::attachments::calling_node;
use crate::authorise::Authorized;
use crate::failure::unexpected;
use crate::seat::Seat;
use swarm_identity::random;
use swarm_model::NodeId;
use swarm_proto::v1;
use swarm_state::{Command, Reply};
use tonic::Status;

/// # Errors
/// `AlreadyExists`: the node is here, and whoever says good-bye does not hold its session: it runs on a copy of its files.
/// Nothing is changed then.
pub async fn take(
    seat: &Seat,
    permit: Authorized<v1::LeaveClusterRequest>,
) -> Result<v1::LeaveClusterResponse, Status> {
    let node = calling_node(&permit)?;
    let given = permit.request().last_session.as_deref();
    if let Some(last) = LastSession::read("last_session", given)? {
        seat.linearizer.barrier().await?;
        refuse_copy(seat, node, last)?;
    }
    let command = permit.map(|_| Command::LeaveNode { node });
    match seat.proposer.propose(command, random::new_id()).await?.reply {
        Reply::Done => Ok(v1::LeaveClusterResponse {}),
        other => Err(unexpected(&other)),
    }
}

fn refuse_copy(seat: &Seat, node: NodeId, last: LastSession) -> Result<(), Status> {
    let here = (seat.me().node, seat.applied.hub().holds(node));
    let holder = seat.applied.read(|state| {
        let record = state.node(&node)?;
        last.is_copys(record, state.session(&node), here).then_some(record.addr)
    });
    match holder {
        None => Ok(()),
        Some(addr) => Err(Status::already_exists(format!(
            "node {node} is here, from {addr}, and whoever asks for it to leave does not hold its session: it stays"
        ))),
    }
}
