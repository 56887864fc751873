//! `leave`: this host out of its cluster. Knows the order that a crash at any point survives: the cluster is told, the
//! kernel cleared, and only then the memory of having been a member removed.

use crate::daemon::{Daemon, Phase};
use crate::running::Running;
use std::sync::Arc;
use tonic::Status;

/// # Errors
/// A manager without `force`; or a part that could not be taken down, in which case `leave` can be tried again.
pub async fn leave(daemon: &Arc<Daemon>, force: bool) -> Result<(), Status> {
    if let Phase::Joining(joining) = daemon.phase() {
        joining.stop();
    }
    let _turn = daemon.turn().await;
    match daemon.phase() {
        Phase::Outside { .. } => Err(Status::failed_precondition("this node is not part of a swarm")),
        Phase::Joining(_) => forget(daemon),
        Phase::Locked(_) if !force => Err(Status::failed_precondition(
            "this manager is locked: the cluster cannot be told that it leaves; unlock it first, or use \
             `swarmctl leave --force`, and `swarmctl node demote` and `node rm` on another manager",
        )),
        Phase::Locked(locked) => {
            locked.worker.leave().await?;
            forget(daemon)
        }
        Phase::Member(running) => {
            may_leave(&running, force)?;
            running.stop.cancel();
            member(&running).await?;
            forget(daemon)
        }
    }
}

/// Before anything is stopped: who is refused goes on as what it is, and what follows the cluster's wishes with it.
fn may_leave(running: &Running, force: bool) -> Result<(), Status> {
    if running.is_manager() && !force {
        return Err(Status::failed_precondition(
            "this node is a manager: when it leaves, the others lose its vote, and the last one takes the cluster \
             with it; use `swarmctl leave --force` if that is what you want",
        ));
    }
    Ok(())
}

async fn member(running: &Running) -> Result<(), Status> {
    if running.is_manager() {
        running.leave_as_manager().await?;
    }
    running.worker.leave().await?;
    running.stop_serving().await;
    Ok(())
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
