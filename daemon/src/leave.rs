//! `leave`: this host out of its cluster. Knows the order that a crash at any point survives: the cluster is told, the
//! kernel cleared, and only then the memory of having been a member removed.

use crate::daemon::{Daemon, Phase};
use crate::running::Running;
use std::sync::Arc;
use swarm_proto::v1::{Farewell, LeaveResponse};
use swarm_worker::Left;
use tonic::Status;

/// # Errors
/// A manager without `force`; or a part that could not be taken down, in which case `leave` can be tried again.
pub async fn leave(daemon: &Arc<Daemon>, force: bool) -> Result<LeaveResponse, Status> {
    if let Phase::Joining(joining) = daemon.phase() {
        joining.stop();
    }
    let _turn = daemon.turn().await;
    match daemon.phase() {
        Phase::Outside { .. } => Err(Status::failed_precondition("this node is not part of a swarm")),
        Phase::Joining(_) => {
            forget(daemon)?;
            Ok(LeaveResponse { farewell: Farewell::JoinCancelled.into(), ..Default::default() })
        }
        Phase::Locked(_) if !force => Err(Status::failed_precondition(
            "this manager is locked: the cluster cannot be told that it leaves; unlock it first, or use \
             `swarmctl leave --force`, and `swarmctl node demote` and `node rm` on another manager",
        )),
        Phase::Locked(locked) => {
            let left = locked.worker.leave().await?;
            forget(daemon)?;
            Ok(answer(left))
        }
        Phase::Member(running) => {
            may_leave(&running, force)?;
            running.stop.cancel();
            let left = member(&running).await?;
            forget(daemon)?;
            Ok(answer(left))
        }
    }
}

/// Before anything is stopped: who is refused goes on as what it is, and what follows the cluster's wishes with it.
fn may_leave(running: &Running, force: bool) -> Result<(), Status> {
    if running.is_manager() && !force {
        return Err(Status::failed_precondition(
            "this node is a manager: where others remain, demote it first (`swarmctl node demote self`), and then \
             `swarmctl leave`; `swarmctl leave --force` takes its vote from them at once, and the last manager takes \
             the cluster with it",
        ));
    }
    Ok(())
}

async fn member(running: &Running) -> Result<Left, Status> {
    if running.is_manager() {
        running.leave_as_manager().await?;
    }
    let left = running.worker.leave().await?;
    running.stop_serving().await;
    Ok(left)
}

fn answer(left: Left) -> LeaveResponse {
    LeaveResponse { sandboxes: left.sandboxes, farewell: left.farewell.into(), reason: left.reason }
}

fn forget(daemon: &Daemon) -> Result<(), Status> {
    daemon
        .state
        .forget()
        .map_err(|e| Status::internal(format!("cannot remove {}: {e}", daemon.state.path().display())))?;
    daemon.enter(Phase::Outside { last_error: String::new() });
    tracing::info!("left the swarm");
    Ok(())
}
