//! How Raft messages travel between managers.
//!
//! Knows: gRPC and deadlines. Must not know: storage, or what openraft does with an answer.

mod client;
pub(crate) mod envelope;
mod heartbeat;
mod link;
mod links;
pub(crate) mod plausible;
mod probe;
mod server;
mod snapshot;
mod stream;

pub use client::Network;
pub use links::{Links, Purpose};
pub use probe::round_trip;
pub use server::{Local, RaftService};
