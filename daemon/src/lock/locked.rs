//! A manager whose files are locked: its sandboxes keep their networks and names; of the cluster it knows nothing.
//! Knows what runs meanwhile; must not know what is in the files.

use super::keys::UnlockError;
use crate::daemon::{Daemon, Phase};
use crate::member::Member;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use swarm_identity::UnlockKey;
use swarm_proto::v1 as pb;
use swarm_worker::{Dial, Worker, WorkerHandle};
use tonic::Status;
use tonic::transport::Channel;

pub const SENTENCE: &str = "this manager is locked: unlock it with `swarmctl unlock` and the unlock key, which \
     `swarmctl unlock-key` on a manager that is open shows";

pub struct Locked {
    pub member: Member,
    /// Goes by its last assignment, and reaches nobody: the node's key is locked.
    pub worker: WorkerHandle,
}

/// Begins as a member whose keys are not at hand.
pub async fn enter(daemon: &Arc<Daemon>, member: Member) -> anyhow::Result<()> {
    let config = crate::running::worker_config(daemon, &member, 0);
    let worker = Worker::start(config, Arc::new(Nobody)).await?;
    tracing::warn!("{SENTENCE}");
    daemon.enter(Phase::Locked(Arc::new(Locked { member, worker })));
    Ok(())
}

/// # Errors
/// It is not locked, or not with this key; or what was locked cannot be used. It stays locked then.
pub async fn unlock(daemon: &Arc<Daemon>, request: pb::UnlockRequest) -> Result<(), Status> {
    let key: UnlockKey = request.key.parse().map_err(|e| Status::unauthenticated(format!("{e}")))?;
    let _turn = daemon.turn().await;
    let Phase::Locked(locked) = daemon.phase() else {
        return Err(Status::failed_precondition("this node is not locked"));
    };
    daemon.state.unlock(key).map_err(|error| match error {
        UnlockError::WrongKey => Status::permission_denied(error.to_string()),
        UnlockError::NotLocked => Status::failed_precondition(error.to_string()),
        UnlockError::Io(error) => Status::internal(error.to_string()),
    })?;
    locked.worker.shutdown().await;
    match crate::running::resume(daemon, locked.member.clone()).await {
        Ok(running) => {
            daemon.enter_member(running);
            tracing::info!("unlocked");
            Ok(())
        }
        Err(error) => {
            daemon.state.keys().forget();
            let again = enter(daemon, locked.member.clone()).await;
            if let Err(error) = again {
                daemon.set_broken(format!("{error:#}"));
            }
            Err(Status::internal(format!("the key is right, and this manager cannot start: {error:#}")))
        }
    }
}

struct Nobody;

impl Dial for Nobody {
    fn manager<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Channel, String>> {
        async { Err(SENTENCE.to_owned()) }.boxed()
    }
}
