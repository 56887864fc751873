//! What the log needs from a storage engine, so that sled can be replaced without touching anything above.
//!
//! Knows: bytes under an index or a name. Must not know: encryption, openraft, threads.

use std::io;

/// Why an engine failed. None of these is retried: the manager stops before it acknowledges anything more.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("{action} failed: {source}")]
    Io { action: &'static str, source: io::Error },
    #[error("the log files are damaged: {0}; remove this manager from the cluster and let it join anew")]
    Damaged(String),
    #[error("another process has the log open")]
    Locked,
}

impl From<EngineError> for io::Error {
    fn from(error: EngineError) -> Self {
        io::Error::other(error.to_string())
    }
}

/// An ordered log of records plus a few named ones. One thread writes, any thread reads.
///
/// After a crash the engine holds the effect of a prefix of the calls made, at least up to the last
/// [`Engine::flush`] that returned; a record is there whole or not at all.
pub trait Engine: Send + Sync + 'static {
    /// Writes the record of `index`; indexes come in ascending order, or again after [`Engine::remove_from`].
    fn put(&self, index: u64, value: &[u8]) -> Result<(), EngineError>;
    /// Records of `first..=last` that exist, ascending, ending early once `max_bytes` are exceeded.
    fn read(&self, first: u64, last: u64, max_bytes: usize) -> Result<Vec<(u64, Vec<u8>)>, EngineError>;
    /// Removes `first` and everything after it, from the end backwards.
    fn remove_from(&self, first: u64) -> Result<(), EngineError>;
    /// Removes everything up to and including `last`, from the beginning forwards.
    fn remove_through(&self, last: u64) -> Result<(), EngineError>;
    fn put_named(&self, name: &str, value: &[u8]) -> Result<(), EngineError>;
    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError>;
    /// Returns once every earlier write is on the disk itself, beyond any cache that a power cut empties.
    fn flush(&self) -> Result<(), EngineError>;
}
