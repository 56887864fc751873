//! The task that reports a node's status.
//!
//! Knows: when to look again. Must not know: what makes up a status.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::{RaftMetrics, ServerState};
use tokio::sync::watch;

use super::status::{self, Progress};
use crate::api::Status;
use crate::config::Timing;
use crate::log::LogWatch;
use crate::types::{LogId, Raft, Types, Vote};
use crate::wire::Links;

/// How far apart reports are that tell of progress only: under load that is made thousands of times a second.
const CALM: Duration = Duration::from_millis(10);

/// What the report needs besides Raft's own metrics.
pub struct Reporter {
    pub timing: Timing,
    pub log: LogWatch,
    /// They learn here where members are found.
    pub links: Links,
}

impl Reporter {
    /// Keeps a status up to date until Raft stops: at once when its role, leader or members change, once a heartbeat at
    /// least, because silence makes others unheard.
    pub fn run(self, raft: &Raft, mut applied: watch::Receiver<u64>) -> watch::Receiver<Status> {
        let mut metrics = raft.metrics();
        let progress = move |applied: &watch::Receiver<u64>| Progress {
            applied: *applied.borrow(),
            last: self.log.last(),
        };
        let first = status::status(&metrics.borrow_watched(), progress(&applied), &self.timing);
        let (sender, receiver) = watch::channel(first);
        let heartbeat = Duration::from_millis(self.timing.heartbeat_ms);
        let mut server = raft.server_metrics();
        tokio::spawn(async move {
            loop {
                let now = {
                    let metrics = metrics.borrow_watched();
                    self.links.follow(&metrics.membership_config);
                    status::status(&metrics, progress(&applied), &self.timing)
                };
                sender.send_if_modified(|status| {
                    let changed = *status != now;
                    *status = now;
                    changed
                });
                // Progress is not listened to for a while: under load it would wake this task with every entry.
                let told_at_once = tokio::select! {
                    changed = server.changed() => changed.is_ok(),
                    () = tokio::time::sleep(CALM) => false,
                };
                let running = match told_at_once {
                    // What is told of the whole follows what is told of the server.
                    true => loop {
                        if Landmark::of(&metrics.borrow_watched())
                            == Landmark::of_server(&server.borrow_watched())
                        {
                            break true;
                        }
                        if metrics.changed().await.is_err() {
                            break false;
                        }
                    },
                    false => tokio::select! {
                        changed = metrics.changed() => changed.is_ok(),
                        changed = applied.changed() => changed.is_ok(),
                        () = tokio::time::sleep(heartbeat) => !sender.is_closed(),
                    },
                };
                if !running {
                    let last = status::status(&metrics.borrow_watched(), progress(&applied), &self.timing);
                    sender.send_replace(last);
                    return;
                }
            }
        });
        receiver
    }
}

/// What is told at once when it changes.
#[derive(PartialEq, Eq)]
struct Landmark {
    vote: Vote,
    state: ServerState,
    leader: Option<u64>,
    membership: Option<LogId>,
}

impl Landmark {
    fn of(metrics: &RaftMetrics<Types>) -> Self {
        Self {
            vote: metrics.vote,
            state: metrics.state,
            leader: metrics.current_leader,
            membership: *metrics.membership_config.log_id(),
        }
    }

    fn of_server(metrics: &RaftServerMetrics<Types>) -> Self {
        Self {
            vote: metrics.vote,
            state: metrics.state,
            leader: metrics.current_leader,
            membership: *metrics.membership_config.log_id(),
        }
    }
}
