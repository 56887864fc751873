//! A manager: how decisions are made, agreed on and handed out.
//!
//! Knows: Raft as a service, the replicated state, who may do what, what workers have to be told.
//! Must not know: netlink, namespaces, command lines.
//!
//! The order of things at the daemon: `Manager::start` → serve `tls_routes()` on TCP 2377 (with
//! `swarm_identity::Listener`) and `local_control()` on the local socket → on a new directory `bootstrap` or
//! `join_raft` → … → `leave`, if it leaves → `shutdown`, before connections are cut: a session that is cut is a node
//! lost, one that is ended by `shutdown` is not.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod addresses;
mod api;
mod applied;
mod attachments;
mod audit;
mod authorise;
#[cfg(test)]
mod authorise_tests;
mod backup;
mod bootstrap;
mod ca;
mod caller;
mod claims;
mod codec;
mod config;
mod dispatcher;
mod failure;
mod figures;
mod gate;
mod join_leave;
mod leader;
mod leadership;
mod linearize;
mod links;
mod machine;
mod manager;
mod member_file;
mod membership;
mod method;
mod news;
mod propose;
mod quorum;
mod raft_door;
mod recovery;
mod seat;

pub use addresses::{Found, ask, last_found};
pub use api::{BackupStream, ControlService, Ear, EventStream, Heard};
pub use audit::{LocalAudit, LocalCaller};
pub use backup::{BackupError, Passphrase, size as backup_size};
pub use config::{FirstNode, ManagerConfig, NewCluster};
pub use figures::Figures;
pub use manager::{Manager, ManagerError, WantedLock};
pub use quorum::Quorum;
pub use recovery::{
    Former, Others, RecoverError, Recovered, Restored, Successor, followed, recover, restore, still_there,
};
pub use seat::HostRoutes;
pub use swarm_raft::{StoreKey, Timing, room_to_begin};

/// What is decided about managers, pure: the simulated world is driven by it too.
pub mod decisions {
    pub use crate::leader::{Departure, Said, corrections, members, next_departure, rise};
}
