//! How Raft messages travel between managers.
//!
//! Knows: gRPC and deadlines. Must not know: storage, or what openraft does with an answer.

mod client;
mod envelope;
mod link;
mod plausible;
mod server;
mod snapshot;
mod stream;

pub use client::Network;
pub use server::RaftService;
