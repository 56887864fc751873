//! A manager that nobody tells of its fate finds out by itself. Knows whom to ask; must not know what is done then.

use super::certificate::{self, Renewed};
use crate::running::Running;
use std::time::Duration;
use swarm_model::NodeId;
use tonic::{Code, Status};

/// Between two looks, and between two questions to the others.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Returns when another manager says that the one on this host has no place among them any more.
pub async fn cast_out(running: &Running) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if is_adrift(running).await && is_out(certificate::renew(running).await, running.member().node) {
            return;
        }
    }
}

/// It serves, and hears of its role from nobody: there is no session, or only one with itself and no quorum behind it.
/// Raft does not tell who was taken out of it: the others fall silent, as if they were lost.
async fn is_adrift(running: &Running) -> bool {
    let Some(serving) = running.serving() else { return false };
    match running.worker.status().session_manager {
        None => true,
        Some(manager) if manager == running.member().node => !serving.manager.has_quorum().await,
        Some(_) => false,
    }
}

/// Whoever answers has looked at the newest records first. That nobody answers says nothing.
fn is_out(answer: Result<Renewed, Status>, node: NodeId) -> bool {
    match answer {
        Ok(answer) => !answer.managers.iter().any(|manager| manager.node == node),
        Err(status) => status.code() == Code::PermissionDenied,
    }
}
