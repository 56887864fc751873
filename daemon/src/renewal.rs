//! This host's certificate stays valid, and its trust that of the cluster: roots are taken as they are told, certificates
//! renewed in time and when another root issues. Knows the order; must not know when it is time (that is `decide`).

mod decide;
mod words;

use crate::daemon::Daemon;
use crate::role::certificate::{self, Renewed};
use crate::running::Running;
use decide::{Due, Now, Step, next};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_identity::{CaDigest, random, renew_at};
use tonic::Status;
pub use words::{clock, warnings};

/// Until the next attempt, doubled with each that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Clocks are set and hosts sleep: how long to wait is looked at anew so often.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Between two renewals that only the clock asks for.
const SETTLED: Duration = Duration::from_secs(10);

/// Attempts that fail in a row before the cluster is told: a leader may just be changing.
const TOLD_AFTER: u32 = 3;

/// What became of this host's renewals.
#[derive(Default)]
pub struct Renewals {
    /// Why the last one failed; empty while all is well.
    trouble: RwLock<String>,
    done: AtomicU64,
    failed: AtomicU64,
}

impl Renewals {
    pub fn trouble(&self) -> String {
        self.trouble.read().clone()
    }

    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Runs until this host leaves or stops.
pub async fn follow(daemon: Arc<Daemon>, running: Arc<Running>) {
    let stop = running.stop.clone();
    stop.run_until_cancelled(Keeper { daemon, running, seed: seed(), renewed: None }.run()).await;
}

struct Keeper {
    daemon: Arc<Daemon>,
    running: Arc<Running>,
    /// Where between the earliest and the latest moment this certificate is renewed.
    seed: u32,
    renewed: Option<tokio::time::Instant>,
}

fn seed() -> u32 {
    u32::from_ne_bytes(random::bytes())
}

impl Keeper {
    async fn run(mut self) {
        let mut roots = self.running.worker.watch_roots();
        let (mut pause, mut in_a_row) = (FIRST_PAUSE, 0_u32);
        loop {
            self.running
                .worker
                .set_trusted(self.running.credentials.issuing_root().map(|root| *root.as_bytes()));
            let told = roots.borrow_and_update().clone();
            let step = next(&self.now(&told));
            let done = match step {
                Step::Rest { for_ms } => {
                    let rest = Duration::from_millis(for_ms).min(LONGEST_REST);
                    tokio::select! {
                        () = tokio::time::sleep(rest) => {}
                        changed = roots.changed() => if changed.is_err() { return },
                    }
                    continue;
                }
                Step::Trust => self.trust(&told).await,
                Step::Renew { due } => self.renew(due, last_root(&told)).await,
            };
            match done {
                Ok(()) => {
                    (pause, in_a_row) = (FIRST_PAUSE, 0);
                    self.running.renewals.trouble.write().clear();
                    self.running.worker.set_trouble(String::new());
                }
                Err(status) => {
                    tracing::warn!(
                        ?step,
                        reason = status.message(),
                        "this node's certificate is not as it should be yet"
                    );
                    status.message().clone_into(&mut self.running.renewals.trouble.write());
                    self.running.renewals.failed.fetch_add(1, Ordering::Relaxed);
                    in_a_row = in_a_row.saturating_add(1);
                    if in_a_row >= TOLD_AFTER {
                        let why = format!("its certificate cannot be renewed: {}", status.message());
                        self.running.worker.set_trouble(why);
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        changed = roots.changed() => if changed.is_err() { return },
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn now<'a>(&self, told: &'a str) -> Now<'a> {
        let credentials = &self.running.credentials;
        let validity = credentials.validity();
        Now {
            now_ms: cluster_time_ms(&self.running),
            renew_at_ms: renew_at(validity, self.seed),
            from_ms: validity.from_ms,
            until_ms: validity.until_ms,
            settling: self.renewed.is_some_and(|at| at.elapsed() < SETTLED),
            told,
            trusted: credentials.root_ca_pem(),
            issuing: credentials.issuing_root(),
            told_issuing: last_root(told),
        }
    }

    /// The same certificate under the roots the cluster has now.
    async fn trust(&self, roots: &str) -> Result<(), Status> {
        let _turn = self.daemon.turn().await;
        let refuse = |e: String| Status::failed_precondition(format!("the cluster's root CAs: {e}"));
        let identity = self.running.credentials.with_roots(roots).map_err(|e| refuse(e.to_string()))?;
        self.running.take_identity(&self.daemon.state, identity)?;
        tracing::info!("this node trusts the root CAs that its manager named");
        Ok(())
    }

    /// `wanted`: the root that the new certificate is to be of.
    async fn renew(&mut self, due: Due, wanted: Option<CaDigest>) -> Result<(), Status> {
        let turn = self.daemon.turn().await;
        let Renewed { identity, .. } =
            certificate::renew_in_place(&self.running, due == Due::OutOfTime).await?;
        let (was, is) = (self.running.credentials.peer().role, identity.peer().role);
        if was != is && (due != Due::OutOfTime || self.running.is_manager()) {
            return Err(Status::aborted("the role of this node is about to change: that comes first"));
        }
        self.running.take_identity(&self.daemon.state, identity)?;
        drop(turn);
        self.running.renewals.done.fetch_add(1, Ordering::Relaxed);
        (self.seed, self.renewed) = (seed(), Some(tokio::time::Instant::now()));
        tracing::info!(?due, "this node's certificate is renewed");
        arrived(due, wanted, self.running.credentials.issuing_root())
    }
}

/// A renewal that did not lead to the root it was for is tried again like one that failed: not at once, or it would never end.
fn arrived(due: Due, wanted: Option<CaDigest>, issued: Option<CaDigest>) -> Result<(), Status> {
    match due {
        Due::Root if wanted != issued => Err(Status::aborted(
            "the certificate was renewed, and not yet by the root CA that the cluster is changing to",
        )),
        Due::Root | Due::Age | Due::OutOfTime => Ok(()),
    }
}

/// By the clock of the manager met last: those of its peers and the certificates' go by it.
fn cluster_time_ms(running: &Running) -> u64 {
    let own = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let own = u64::try_from(own).unwrap_or(u64::MAX);
    let ahead = running.worker.status().clock_ahead_ms.unwrap_or(0);
    own.saturating_add_signed(ahead.saturating_neg())
}

/// The root that issues stands last.
fn last_root(roots: &str) -> Option<CaDigest> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    CaDigest::of_pem(roots.get(roots.rfind(BEGIN)?..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s67_a_renewal_that_led_to_another_root_is_not_repeated_at_once() {
        let (one, other) = (CaDigest::from_bytes([1; 32]), CaDigest::from_bytes([2; 32]));
        assert!(arrived(Due::Root, Some(one), Some(one)).is_ok());
        assert!(arrived(Due::Age, Some(one), Some(other)).is_ok());
        for issued in [Some(other), None] {
            assert!(arrived(Due::Root, Some(one), issued).is_err());
        }
    }
}
