//! The worker: how the cluster's decisions get into this host's kernel.
//!
//! Knows: its session with a manager, its sandboxes, the kernel and DNS of this host.
//! Must not know: Raft, the replicated state, or who may do what.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod assignment;
mod calls;
mod config;
mod dial;
mod dns;
mod error;
pub mod esp;
mod farewell;
#[doc(hidden)]
pub mod fuzz;
mod gossip;
mod handle;
mod host;
pub mod kernel;
mod loops;
pub mod reconcile;
mod sandbox;
mod session;
mod start;
mod status;
#[cfg(test)]
mod tests;
mod two_slots;

pub use config::{Here, WorkerConfig};
pub use dial::Dial;
pub use error::WorkerError;
pub use farewell::Left;
pub use gossip::Hearing;
pub use handle::{PendingRun, WorkerHandle};
pub use start::Worker;
pub use status::{Tunnel, WorkerStatus};
pub use swarm_gossip::Verdict;
