//! The replicated state machine: what the cluster is, and the one door (`apply`) by which it changes.
//!
//! Knows: nodes, networks, endpoints, join secrets, settings; what may be done to them; who needs to hear of it.
//! Must not know: I/O, time, randomness. It is `no_std`, so they cannot compile here: times, ids and secrets are
//! chosen before an entry is proposed and travel in it.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]
#![no_std]

extern crate alloc;

mod access;
mod apply;
mod assigned;
mod clock;
mod entry;
mod event;
mod indices;
mod invariants;
mod limits;
pub mod losses;
mod pairs;
mod pool;
mod query;
mod refusal;
mod reply;
mod requests;
mod root;
mod rows;
mod snapshot;
mod state;
mod tables;
#[cfg(test)]
mod tests;

pub use access::{AdmitByToken, CreateToken, CreateUser};
pub use apply::apply;
pub use assigned::Touched;
pub use entry::{
    AdmitNode, Command, CreateCluster, CreateEndpoints, CreateNetwork, Entry, NewEndpoint, NoteIncarnation,
    RegisterNode, ReplaceManagers, RotateJoinSecret, SetLock, Settled, TurnRing, UpdateNode, Verb,
};
pub use event::Event;
pub use limits::{
    MAX_ENDPOINTS, MAX_ENDPOINTS_PER_COMMAND, MAX_ENDPOINTS_PER_HOST, MAX_NETWORKS, MAX_NODES,
    MAX_OBJECT_BYTES, MAX_RELEASES_PER_COMMAND, MAX_REMEMBERED, MAX_TOKENS, MAX_USERS, REMEMBER_MS, REST_MS,
};
pub use refusal::{Refusal, RefusalKind, User};
pub use reply::{Applied, Reply};
pub use root::RotateRoot;
pub use snapshot::{FORMAT, Snapshot, SnapshotError};
pub use state::State;
pub use tables::{Placed, Session};
