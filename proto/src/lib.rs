//! The wire: generated types and services of `swarm.v1`, and their checked conversions to the model's words.
//!
//! Knows: how things are spelled on the wire, and which field is wrong when one is.
//! Must not know: any decision.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod access;
mod assignment;
mod cluster;
mod convert;
mod descriptors;
mod endpoint;
mod enums;
mod network;
mod node;
mod pair;
mod secret;

pub use cluster::{lineage, past};
pub use convert::{ConvertError, optional, parse, parse_all, required};
pub use descriptors::methods_on_2377;
pub use enums::{word, word_or, word_or_none};
pub use pair::incarnation;

/// Generated from `proto/swarm/v1/*.proto`.
#[allow(clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("swarm.v1");
}

/// Metadata of a question on the local socket: without a quorum, what this manager knows by itself will do.
pub const ACCEPT_STALE: &str = "swarm-accept-stale";
/// Metadata of the answer then.
pub const STALE: &str = "swarm-stale";

/// Most bytes one message may have on any of our connections; a larger one is refused by both sides.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The exceptions: a whole assignment (`Dispatcher/Session`), and the control API's lists. 100,000 endpoints are about
/// 25 MB; clients of these two raise their decoding limit to this.
pub const MAX_WHOLE_BYTES: usize = 64 * 1024 * 1024;
