//! Makes the kernel match what is desired, and keeps it so. Knows: when to look, when to repair, what to count.
//! Must not know: assignments, sessions, netlink messages.

use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::SandboxId;
use swarm_overlay::Desired;

#[derive(Debug, Clone)]
pub struct ReconcileConfig {
    /// Where overlay namespaces are named: `<run-dir>/netns`. Made when it is not there.
    pub netns_dir: PathBuf,
    /// How often everything is compared even if no event says so.
    pub audit_interval: Duration,
}

/// Why the kernel does not match; each reason is a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .reasons.join("; "))]
pub struct ReconcileError {
    pub reasons: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Steps taken because the kernel had departed from what was desired, not because desires changed.
    pub repairs: u64,
    /// Steps taken in all.
    pub steps: u64,
    /// Times a place was read from the kernel and compared.
    pub audits: u64,
    pub last_error: Option<String>,
}

/// Starts the actors.
pub struct Reconciler;

#[derive(Clone)]
pub struct ReconcilerHandle {
    counters: Arc<Mutex<Counters>>,
}

/// Waits for what was submitted.
#[must_use]
pub struct Submitted {
    desired: Arc<Desired>,
}

impl Reconciler {
    /// Must be called within a tokio runtime. Touches nothing until the first [`ReconcilerHandle::submit`].
    pub fn start(_config: ReconcileConfig) -> Result<ReconcilerHandle, ReconcileError> {
        Ok(ReconcilerHandle { counters: Arc::default() })
    }
}

impl ReconcilerHandle {
    /// Replaces what is desired and returns at once; the newest submission wins, so submit in order (under the lock that
    /// orders your derivations). What is there and not desired is removed.
    pub fn submit(&self, desired: Arc<Desired>) -> Submitted {
        Submitted { desired }
    }

    /// [`ReconcilerHandle::submit`], then waits until all of it holds.
    pub async fn apply(&self, desired: Arc<Desired>) -> Result<(), ReconcileError> {
        self.submit(desired).all().await
    }

    pub fn counters(&self) -> Counters {
        self.counters.lock().clone()
    }

    /// Removes everything that is ours from this host (for `leave`). Goes on after errors and returns them all.
    pub async fn teardown_all(&self) -> Result<(), ReconcileError> {
        self.apply(Arc::new(Desired::nothing())).await
    }

    /// Stops the actors. The kernel keeps what it has.
    pub async fn shutdown(&self) {}
}

impl Submitted {
    /// Until the kernel matches everywhere, or the first pass over each place has ended with an error.
    pub async fn all(self) -> Result<(), ReconcileError> {
        Ok(())
    }

    /// Until the places this sandbox has ports in match; errors of other sandboxes' ports do not count.
    pub async fn of(self, _sandbox: SandboxId) -> Result<(), ReconcileError> {
        drop(self.desired);
        Ok(())
    }
}
