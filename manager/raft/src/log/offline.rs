//! The log of a manager that does not run: begun anew, or read to its end.
//!
//! Knows: what stands in a log that follows a snapshot. Must not know: why one is begun or read.

use super::engine::Engine;
use super::journal::DiskEngine;
use super::mark::Promise;
use super::recover::{COMMITTED, LogError, PURGED, Records, Recovered, VOTE, recover};
use crate::config::RaftConfig;
use crate::types::{Entry, LogId, Vote, next_index};
use crate::vault::{Vault, VaultError};

/// Entries read at a time.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// sled panics on some damage instead of saying so.
const DAMAGED: &str = "the storage engine panicked on it (see above), so its files are damaged; \
    remove this manager from the cluster and let it join anew";

/// Does work with files where it may block, and turns a panic of the engine into a reason.
pub async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(DAMAGED.to_owned()))
}

/// Writes a log without entries that follows a snapshot up to `last`, in a directory that has none. Blocks.
pub fn begin_log(config: &RaftConfig, last: LogId, vote: Vote) -> Result<(), LogError> {
    let vault = vault(config)?;
    let engine = DiskEngine::on_sled(&config.log_dir())?;
    let records = Records { engine: &engine, vault: &vault };
    let (_, mut mark) = recover(&records, &config.mark_file(), config.id)?;
    records.put_named(VOTE, &vote)?;
    records.put_named(COMMITTED, &last)?;
    records.put_named(PURGED, &last)?;
    engine.flush()?;
    mark.write(&Promise { vote: Some(vote), last: Some(last) }, &vault)?;
    mark.sync()
}

/// A log that nobody writes.
pub struct StoppedLog {
    engine: DiskEngine,
    vault: Vault,
    pub found: Recovered,
}

impl StoppedLog {
    /// Opens and checks it as a start would; refused while a manager has it open. Blocks.
    pub fn open(config: &RaftConfig) -> Result<Self, LogError> {
        let vault = vault(config)?;
        let engine = DiskEngine::on_sled(&config.log_dir())?;
        let records = Records { engine: &engine, vault: &vault };
        let (found, _) = recover(&records, &config.mark_file(), config.id)?;
        Ok(Self { engine, vault, found })
    }

    /// The entries after `last`, as many as are read at a time; none at the end. Blocks.
    pub fn after(&self, last: Option<LogId>) -> Result<Vec<Entry>, LogError> {
        let (first, end) = (next_index(&last), next_index(&self.found.last));
        match end.checked_sub(1) {
            Some(to) if first <= to => {
                Records { engine: &self.engine, vault: &self.vault }.every_entry(first, to, CHUNK_BYTES)
            }
            _ => Ok(Vec::new()),
        }
    }
}

fn vault(config: &RaftConfig) -> Result<Vault, LogError> {
    let sealing = |source: VaultError| LogError::Sealed { record: "the storage key".to_owned(), source };
    Vault::new(&config.key).map_err(sealing)
}
