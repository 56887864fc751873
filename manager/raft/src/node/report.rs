//! The task that reports a node's status.
//!
//! Knows: when to look again. Must not know: what makes up a status.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;

use super::status::{self, Progress};
use crate::api::Status;
use crate::config::Timing;
use crate::log::LogWatch;
use crate::types::Raft;
use crate::wire::Links;

/// What the report needs besides Raft's own metrics.
pub struct Reporter {
    pub timing: Timing,
    pub log: LogWatch,
    /// They learn here where members are found.
    pub links: Links,
}

impl Reporter {
    /// Keeps a status up to date until Raft stops; once a heartbeat at least, because silence makes others unheard.
    pub fn run(self, raft: &Raft, mut applied: watch::Receiver<u64>) -> watch::Receiver<Status> {
        let mut metrics = raft.metrics();
        let progress = move |applied: &watch::Receiver<u64>| Progress {
            applied: *applied.borrow(),
            last: self.log.last(),
        };
        let first = status::status(&metrics.borrow_watched(), progress(&applied), &self.timing);
        let (sender, receiver) = watch::channel(first);
        let pause = Duration::from_millis(self.timing.heartbeat_ms);
        tokio::spawn(async move {
            let mut followed = None;
            loop {
                let running = tokio::select! {
                    changed = metrics.changed() => changed.is_ok(),
                    changed = applied.changed() => changed.is_ok(),
                    () = tokio::time::sleep(pause) => !sender.is_closed(),
                };
                let now = {
                    let metrics = metrics.borrow_watched();
                    if followed != *metrics.membership_config.log_id() {
                        followed = *metrics.membership_config.log_id();
                        self.links.follow(&metrics.membership_config);
                    }
                    status::status(&metrics, progress(&applied), &self.timing)
                };
                sender.send_if_modified(|status| {
                    let changed = *status != now;
                    *status = now;
                    changed
                });
                if !running {
                    return;
                }
            }
        });
        receiver
    }
}
