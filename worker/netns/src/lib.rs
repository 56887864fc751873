//! Network namespaces: making, naming, entering and leaving them, and starting commands inside.
//!
//! Knows: the system calls for namespaces, mounts and processes; it is the one crate with unsafe code.
//! Must not know: networks, endpoints, sandboxes, or why somebody wants a namespace.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]
#![deny(unsafe_op_in_unsafe_fn)]

mod error;
mod exec;
mod inhabitants;
mod loopback;
mod mounts;
mod namespace;
mod process;
mod spawn;
mod steps;

pub use error::NsError;
pub use exec::{ExecSpec, exec_in};
pub use loopback::set_loopback_up;
pub use mounts::remove;
pub use namespace::{NetNs, NsId};
pub use process::{Process, ProcessId};
pub use spawn::{BindMount, SpawnError, SpawnSpec, Spawned, spawn_in};
