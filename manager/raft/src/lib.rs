//! Raft between managers: an ordered, durable, encrypted log of opaque commands, applied to a [`Machine`].
//!
//! Knows: openraft, the store on disk, and how Raft messages travel between managers.
//! Must not know: what a command means, who may propose one, or what a node of the cluster is.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod api;
mod apply;
mod config;
mod error;
mod export;
#[doc(hidden)]
pub mod fuzz;
pub mod log;
mod node;
mod pace;
mod pace_file;
mod seed;
mod snapshots;
mod space;
#[cfg(test)]
mod suite;
pub mod types;
mod vault;
mod wire;

pub use api::{Committed, Dial, Machine, MachineError, Member, Role, SenderCheck, Status};
pub use config::{Cadence, RaftConfig, StoreKey, Timing};
pub use error::{MemberError, ProposeError, ReadError, SeedError, StartError, WaitError};
pub use export::{Export, export};
pub use node::{MAX_COMMAND_BYTES, RaftNode};
pub use seed::{Seed, Seeded};
pub use space::{FreeSpace, NoRoom, room_to_begin};
pub use swarm_proto::v1::raft_server::RaftServer;
pub use wire::RaftService;
