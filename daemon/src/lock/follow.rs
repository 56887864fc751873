//! This manager's files are locked as the cluster wants them to be.
//!
//! The keys they are sealed with change with the lock: whoever knew the old unlock key knew the old ones. First the file of
//! keys, with the new one before the old ones and under the new lock; then what they sealed is sealed anew; then the old
//! ones are forgotten. Cut short anywhere, the file opens with one unlock key, and what is missing is done after the start.

use super::keys::Held;
use crate::daemon::Daemon;
use crate::running::Running;
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::{UnlockKey, random};
use swarm_manager::{Manager, WantedLock};
use tonic::Status;

/// While this host is no manager, or its manager has not caught up; and after a failure.
const PAUSE: Duration = Duration::from_millis(200);
/// For the files of one manager.
const DEADLINE: Duration = Duration::from_secs(15);

/// Runs until this host leaves or stops.
pub async fn follow(daemon: Arc<Daemon>, running: Arc<Running>) {
    let stop = running.stop.clone();
    stop.run_until_cancelled(keep(&daemon, &running)).await;
}

async fn keep(daemon: &Daemon, running: &Running) {
    loop {
        if let Some(serving) = running.serving() {
            let mut locks = serving.manager.watch_locks();
            locks.mark_unchanged();
            match settle(daemon, running, &serving.manager).await {
                Ok(true) => {
                    // A manager that was stopped changes no more; another one may have taken its place.
                    let _ = tokio::time::timeout(PAUSE * 5, locks.changed()).await;
                    continue;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!("this manager's files could not be locked as wanted: {error:#}"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns when the files of this host's manager are as the cluster wants them.
///
/// # Errors
/// They are not yet, after a while: it goes on by itself.
pub async fn settled(daemon: &Daemon) -> Result<(), Status> {
    let running = daemon.running()?;
    let Some(serving) = running.serving() else { return Ok(()) };
    let done = async {
        while !matches!(settle(daemon, &running, &serving.manager).await, Ok(true)) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let late = |_| {
        Status::unavailable(
            "the cluster has decided so, and this manager's own files are not sealed anew yet: its log says why",
        )
    };
    tokio::time::timeout(DEADLINE, done).await.map_err(late)
}

/// Makes the files be as wanted; false: it is not known yet how.
async fn settle(daemon: &Daemon, running: &Running, manager: &Manager) -> anyhow::Result<bool> {
    let wanted = match manager.wanted_lock().await {
        WantedLock::Unknown => return Ok(false),
        WantedLock::Off => None,
        WantedLock::On(key) => Some(key.0.parse::<UnlockKey>().context("the cluster's unlock key")?),
    };
    if is_so(daemon, wanted.as_ref()) {
        return Ok(true);
    }
    let _turn = daemon.turn().await;
    // What was waited for may have been a demotion, whose files are its own matter, or another one doing this.
    if !running.is_manager() || is_so(daemon, wanted.as_ref()) {
        return Ok(running.is_manager());
    }
    let held = daemon.state.keys().held().context("the keys are not open")?;
    let locked = wanted.is_some();
    if held.unlock != wanted {
        daemon.state.set_keys(Held { ring: held.ring.succeeded_by(random::bytes()), unlock: wanted })?;
    }
    reseal(daemon, manager).await?;
    tracing::info!(locked, "this manager's files are sealed with new keys");
    Ok(true)
}

fn is_so(daemon: &Daemon, wanted: Option<&UnlockKey>) -> bool {
    daemon.state.keys().held().is_some_and(|held| held.unlock.as_ref() == wanted && held.ring.is_alone())
}

async fn reseal(daemon: &Daemon, manager: &Manager) -> anyhow::Result<()> {
    let held = daemon.state.keys().held().context("the keys are not open")?;
    let identity = daemon.state.identity()?.context("the certificate is gone")?;
    daemon.state.set_identity(&identity)?;
    manager.change_key(&held.ring).await.context("Raft's files")?;
    let alone = held.ring.alone();
    manager.change_key(&alone).await.context("Raft's files")?;
    Ok(daemon.state.set_keys(Held { ring: alone, ..held })?)
}
