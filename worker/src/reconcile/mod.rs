//! Makes the kernel match what is desired, and keeps it so. Knows: when to look, when to repair, what to
//! count. Must not know: assignments, sessions, netlink messages.
//!
//! One actor per place (the gateway, each overlay network): places do not wait for each other, and in each
//! one there is one hand at work.

mod actor;
mod handle;
mod inbox;
mod pass;
mod timing;

use std::path::PathBuf;
use std::time::Duration;

pub use handle::{Reconciler, ReconcilerHandle, Submitted};

#[derive(Debug, Clone)]
pub struct ReconcileConfig {
    /// Where overlay namespaces are named: `<run-dir>/netns`. Made when it is not there.
    pub netns_dir: PathBuf,
    /// How often everything is compared even if no event says so.
    pub audit_interval: Duration,
}

impl ReconcileConfig {
    pub const AUDIT_INTERVAL: Duration = Duration::from_secs(30);

    pub fn new(netns_dir: PathBuf) -> Self {
        Self { netns_dir, audit_interval: Self::AUDIT_INTERVAL }
    }
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
    /// Times the kernel told more than could be heard; each is followed by an audit.
    pub lost: u64,
    /// Steps that failed.
    pub failures: u64,
    /// What does not match now, as a sentence: the first of them. `None` while all does, as far as was looked.
    pub last_error: Option<String>,
}
