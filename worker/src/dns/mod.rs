//! The name server of each sandbox, at 127.0.0.11 inside it. Knows: DNS messages, sockets, the host's resolvers.
//! Must not know: why a sandbox is on a network.
//!
//! Names of the sandbox's networks are answered here; every other name is asked of the host's resolvers, from the
//! daemon's own namespace. A sandbox whose networks are all internal gets NXDOMAIN instead: within its world the name does
//! not exist, and its programs need not wait to learn it.

mod forward;
pub(crate) mod fuzz;
mod message;
mod resolvers;
mod server;
mod tcp;
mod zones;

use std::sync::atomic::{AtomicU64, Ordering};

/// Queries since the daemon started, of all sandboxes.
#[derive(Default)]
pub(crate) struct Queries {
    answered: AtomicU64,
    forwarded: AtomicU64,
}

impl Queries {
    /// Answered here, and passed on.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.forwarded.load(Ordering::Relaxed))
    }

    fn count(&self, verdict: &message::Verdict) {
        match verdict {
            message::Verdict::Reply(_) => self.answered.fetch_add(1, Ordering::Relaxed),
            message::Verdict::Forward => self.forwarded.fetch_add(1, Ordering::Relaxed),
            message::Verdict::Drop => return,
        };
    }
}

pub(crate) use forward::Forwarder;
pub(crate) use server::{Context, Names, serve};
pub(crate) use zones::Zones;
