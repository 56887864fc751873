//! The worker: how the cluster's decisions get into this host's kernel.
//!
//! Knows: its session with a manager, its sandboxes, the kernel and DNS of this host.
//! Must not know: Raft, the replicated state, or who may do what.

mod config;
mod dial;
mod error;
mod handle;

pub use config::WorkerConfig;
pub use dial::Dial;
pub use error::WorkerError;
pub use handle::{PendingRun, Worker, WorkerHandle, WorkerStatus};
pub mod kernel;
pub mod reconcile;
