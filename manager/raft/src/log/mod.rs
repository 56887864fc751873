//! The log on disk: what a storage engine must do, and the store openraft sees on top of it.
//!
//! Knows: entries, votes and their order. Must not know: what a command means, or who else is a member.

mod engine;
#[cfg(test)]
pub mod failing;
#[cfg(test)]
mod growth;
mod journal;
mod mark;
mod offline;
mod recover;
mod sled_engine;
mod store;
mod tail;
mod writer;

pub use engine::{Engine, EngineError};
pub use journal::{DiskEngine, Journal, Sizes};
pub use offline::{StoppedLog, begin_log, on_disk};
pub use recover::LogError;
pub use sled_engine::SledEngine;
pub use store::{LogReader, LogStore, LogWatch};
