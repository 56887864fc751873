//! The log on disk: what a storage engine must do, and the store openraft sees on top of it.
//!
//! Knows: entries, votes and their order. Must not know: what a command means, or who else is a member.

mod engine;
#[cfg(test)]
pub mod failing;
#[cfg(test)]
mod growth;
mod journal;
mod journaled;
mod mark;
mod offline;
mod recover;
mod redo;
mod sled_engine;
mod store;
mod tail;
mod writer;

use std::path::Path;

pub use engine::{Engine, EngineError};
pub use journaled::Journaled;
pub use offline::{StoppedLog, begin_log, on_disk};
pub use recover::LogError;
pub use sled_engine::SledEngine;
pub use store::{LogReader, LogStore, LogWatch};

/// The engine of a manager's log: sled, with the journal in front.
pub type LogEngine = Journaled<SledEngine>;

/// Opens or makes the log's files in `dir`. Blocks.
pub fn open_engine(dir: &Path) -> Result<LogEngine, EngineError> {
    Journaled::open(SledEngine::open(dir)?, dir)
}
