//! When a snapshot is made, and how much of the log stays behind it. The cluster's settings say so while Raft runs, and
//! openraft's own policies stay as they were at its start.
//!
//! Knows: how far the machine and the newest snapshot are. Must not know: how either is written.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftDataMetrics;
use tokio::sync::watch;

use crate::config::Cadence;
use crate::types::{LogId, Raft, Types, next_index};

/// At least so many entries stay behind a snapshot, for followers that are a little late.
const MIN_KEPT: u64 = 100;
/// Progress is not listened to for so long: under load it would wake this task with every entry.
const CALM: Duration = Duration::from_millis(20);

/// Runs as long as Raft does.
pub fn keep(raft: &Raft, cadence: watch::Receiver<Cadence>) {
    let mut keeper = Keeper { raft: raft.clone(), cadence, tried: 0, newest: None };
    let mut metrics = raft.data_metrics();
    tokio::spawn(async move {
        loop {
            let now = metrics.borrow_watched().clone();
            if keeper.look(&now).await.is_none() || metrics.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(CALM).await;
        }
    });
}

struct Keeper {
    raft: Raft,
    cadence: watch::Receiver<Cadence>,
    /// What was applied when a snapshot was last asked for: it may still be in the making, or have failed.
    tried: u64,
    newest: Option<LogId>,
}

impl Keeper {
    /// `None`: Raft has stopped.
    async fn look(&mut self, now: &RaftDataMetrics<Types>) -> Option<()> {
        let Cadence { interval, .. } = *self.cadence.borrow();
        let (applied, covered) = (next_index(&now.last_applied), next_index(&now.snapshot));
        if now.snapshot != self.newest {
            // One that was asked for meanwhile was not begun.
            (self.newest, self.tried) = (now.snapshot, 0);
            let last = covered.checked_sub(1 + kept(interval));
            if let Some(last) = last.filter(|last| *last >= next_index(&now.purged)) {
                self.raft.trigger().purge_log(last).await.ok()?;
            }
        }
        if applied.saturating_sub(covered.max(self.tried)) >= interval.max(1) {
            self.tried = applied;
            self.raft.trigger().snapshot().await.ok()?;
        }
        Some(())
    }
}

fn kept(interval: u64) -> u64 {
    (interval / 5).max(MIN_KEPT)
}
