//! The task that reports a node's status.
//!
//! Knows: when to look again. Must not know: what makes up a status.

use std::time::{Duration, Instant};

use openraft::async_runtime::WatchReceiver;
use openraft::{RaftMetrics, ServerState};
use tokio::sync::watch;

use super::status::{self, Progress};
use crate::api::Status;
use crate::config::Timing;
use crate::log::LogWatch;
use crate::types::{LogId, Raft, Types};
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
        tokio::spawn(async move {
            let (mut passed, mut told, mut held_back) = (None, Instant::now(), false);
            loop {
                let pause = if held_back { CALM } else { heartbeat };
                let running = tokio::select! {
                    changed = metrics.changed() => changed.is_ok(),
                    changed = applied.changed() => changed.is_ok(),
                    () = tokio::time::sleep(pause) => !sender.is_closed(),
                };
                let now = {
                    let metrics = metrics.borrow_watched();
                    let here = Some(Landmark::of(&metrics));
                    held_back = running && here == passed && told.elapsed() < CALM;
                    if held_back {
                        continue;
                    }
                    self.links.follow(&metrics.membership_config);
                    (passed, told) = (here, Instant::now());
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

/// What is told at once when it changes.
#[derive(PartialEq, Eq)]
struct Landmark {
    term: u64,
    state: ServerState,
    leader: Option<u64>,
    membership: Option<LogId>,
    stopped: bool,
}

impl Landmark {
    fn of(metrics: &RaftMetrics<Types>) -> Self {
        Self {
            term: metrics.current_term,
            state: metrics.state,
            leader: metrics.current_leader,
            membership: *metrics.membership_config.log_id(),
            stopped: metrics.running_state.is_err(),
        }
    }
}
