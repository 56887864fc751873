//! Reads a log back after a restart, and refuses one that is not exactly what this manager wrote.
//!
//! Knows: what a sound log looks like. Must not know: which engine holds it.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::engine::{Engine, EngineError};
use super::mark::{Mark, Promise, check};
use crate::config::StoreKey;
use crate::types::{Entry, LogId, Vote, next_index};
use crate::vault::{Vault, VaultError};

pub const OWNER: &str = "owner";
pub const VOTE: &str = "vote";
pub const COMMITTED: &str = "committed";
pub const PURGED: &str = "purged";

/// Bytes read at a time while the whole log is checked.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Why a log could not be taken over. The manager does not start; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{record}: {source}")]
    Sealed { record: String, source: VaultError },
    #[error("{record} cannot be decoded by this version: {reason}")]
    Undecodable { record: String, reason: String },
    #[error("the log lacks entry {expected}: it goes on with entry {found}")]
    Hole { expected: u64, found: u64 },
    #[error(
        "entry {0} of the log cannot be read, though it was there at the start; the log files are damaged"
    )]
    Vanished(u64),
    #[error(
        "the log belongs to Raft id {found}, not to {wanted}; a wiped or copied manager must join under a new id"
    )]
    Owner { found: u64, wanted: u64 },
    #[error("the log has been in use but does not say whose it is; its head is damaged")]
    NoOwner,
    #[error(
        "the log has lost something it had promised to keep: {0}; remove this manager from the cluster and let it join anew"
    )]
    Mark(String),
}

impl From<LogError> for io::Error {
    fn from(error: LogError) -> Self {
        io::Error::other(error.to_string())
    }
}

/// What a log says about itself once every record has been checked.
#[derive(Debug, PartialEq)]
pub struct Recovered {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    pub last: Option<LogId>,
}

/// Seals and opens the records of the log, each bound to its place.
pub struct Records<'a> {
    pub engine: &'a dyn Engine,
    pub vault: &'a Vault,
}

impl Records<'_> {
    pub fn put_entry(&self, entry: &Entry) -> Result<(), LogError> {
        let index = entry.log_id.index;
        let sealed = self.seal(&entry_place(index), || format!("entry {index}"), entry)?;
        Ok(self.engine.put(index, &sealed)?)
    }

    pub fn put_named<T: Serialize>(&self, name: &str, value: &T) -> Result<(), LogError> {
        let sealed = self.seal(&named_place(name), || name.to_owned(), value)?;
        Ok(self.engine.put_named(name, &sealed)?)
    }

    pub fn named<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, LogError> {
        let Some(sealed) = self.engine.named(name)? else { return Ok(None) };
        self.open(&named_place(name), || format!("the log's {name}"), &sealed).map(Some)
    }

    /// Entries of `first..=last` that exist, as far as `max_bytes` go (but one at least).
    pub fn entries(&self, first: u64, last: u64, max_bytes: usize) -> Result<Vec<Entry>, LogError> {
        let records = self.engine.read(first, last, max_bytes)?;
        records.into_iter().map(|(index, sealed)| self.entry(index, &sealed)).collect()
    }

    /// Like [`Records::entries`] where all of them must exist: fewer only if `max_bytes` are exceeded.
    pub fn every_entry(&self, first: u64, last: u64, max_bytes: usize) -> Result<Vec<Entry>, LogError> {
        let records = self.engine.read(first, last, max_bytes)?;
        let next = records.last().map_or(first, |(index, _)| index + 1);
        let bytes: usize = records.iter().map(|(_, sealed)| sealed.len()).sum();
        // sled's iterator ends at a page it cannot read, without an error.
        if next <= last && bytes <= max_bytes {
            return Err(LogError::Vanished(next));
        }
        records.into_iter().map(|(index, sealed)| self.entry(index, &sealed)).collect()
    }

    /// From here on `key` seals, and with it what the log says about itself.
    pub fn change_key(&self, key: &StoreKey) -> Result<(), LogError> {
        let sealing = |source| LogError::Sealed { record: "the storage key".to_owned(), source };
        self.vault.change(key).map_err(sealing)?;
        [OWNER, VOTE, COMMITTED, PURGED].into_iter().try_for_each(|name| {
            let Some(sealed) = self.engine.named(name)? else { return Ok(()) };
            let anew = self.anew(&named_place(name), || format!("the log's {name}"), &sealed)?;
            Ok(self.engine.put_named(name, &anew)?)
        })
    }

    /// Seals the entries of `range` with the key of now.
    pub fn reseal(&self, range: &RangeInclusive<u64>) -> Result<(), LogError> {
        for (index, sealed) in self.engine.read(*range.start(), *range.end(), usize::MAX)? {
            if !self.vault.is_of_now(&sealed) {
                let anew = self.anew(&entry_place(index), || format!("entry {index}"), &sealed)?;
                self.engine.put(index, &anew)?;
            }
        }
        Ok(())
    }

    fn anew(&self, place: &[u8], record: impl Fn() -> String, sealed: &[u8]) -> Result<Vec<u8>, LogError> {
        let plain = self.vault.open(place, sealed).map(Zeroizing::new);
        let anew = plain.and_then(|plain| self.vault.seal(place, &plain));
        anew.map_err(|source| LogError::Sealed { record: record(), source })
    }

    fn entry(&self, index: u64, sealed: &[u8]) -> Result<Entry, LogError> {
        let entry: Entry = self.open(&entry_place(index), || format!("entry {index}"), sealed)?;
        if entry.log_id.index != index {
            return Err(LogError::Hole { expected: index, found: entry.log_id.index });
        }
        Ok(entry)
    }

    fn seal<T: Serialize>(
        &self,
        place: &[u8],
        record: impl Fn() -> String,
        value: &T,
    ) -> Result<Vec<u8>, LogError> {
        let plain = rmp_serde::to_vec_named(value)
            .map_err(|e| LogError::Undecodable { record: record(), reason: e.to_string() })?;
        self.vault.seal(place, &plain).map_err(|source| LogError::Sealed { record: record(), source })
    }

    fn open<T: DeserializeOwned>(
        &self,
        place: &[u8],
        record: impl Fn() -> String,
        sealed: &[u8],
    ) -> Result<T, LogError> {
        let plain =
            self.vault.open(place, sealed).map_err(|source| LogError::Sealed { record: record(), source })?;
        rmp_serde::from_slice(&plain)
            .map_err(|e| LogError::Undecodable { record: record(), reason: e.to_string() })
    }
}

/// Claims an empty log for `id`, or checks every record of one that `id` wrote, and that none is missing.
pub fn recover(records: &Records<'_>, mark: &Path, id: u64) -> Result<(Recovered, Mark), LogError> {
    let (mark, promise) = claim(records, mark, id)?;
    let purged: Option<LogId> = records.named(PURGED)?;
    if let Some(purged) = &purged {
        // A crash between noting the purge and finishing it leaves entries that are no longer part of the log.
        records.engine.remove_through(purged.index)?;
    }
    let last = check_entries(records, purged)?;
    let committed: Option<LogId> = records.named(COMMITTED)?;
    let recovered = Recovered {
        vote: records.named(VOTE)?,
        committed: committed.filter(|c| c.index < next_index(&last)),
        purged,
        last,
    };
    check(&promise, &recovered, |index| {
        let entries = records.entries(index, index, 0).ok()?;
        entries.first().map(|entry| entry.log_id.committed_leader_id().term)
    })?;
    Ok((recovered, mark))
}

fn claim(records: &Records<'_>, mark: &Path, id: u64) -> Result<(Mark, Promise), LogError> {
    match records.named::<u64>(OWNER)? {
        Some(found) if found == id => Mark::open(mark, records.vault),
        Some(found) => Err(LogError::Owner { found, wanted: id }),
        None if !records.engine.read(0, u64::MAX, 0)?.is_empty() || has_promised(mark) => {
            Err(LogError::NoOwner)
        }
        None => {
            let mark = Mark::create(mark)
                .map_err(|source| EngineError::Io { action: "making the log's mark", source })?;
            records.put_named(OWNER, &id)?;
            records.engine.flush()?;
            Ok((mark, Promise::default()))
        }
    }
}

/// A mark that says anything belongs to a log that was in use.
fn has_promised(mark: &Path) -> bool {
    std::fs::read(mark).is_ok_and(|bytes| bytes.iter().any(|byte| *byte != 0))
}

fn check_entries(records: &Records<'_>, purged: Option<LogId>) -> Result<Option<LogId>, LogError> {
    let mut last = purged;
    loop {
        let entries = records.entries(next_index(&last), u64::MAX, CHUNK_BYTES)?;
        if entries.is_empty() {
            return Ok(last);
        }
        for entry in entries {
            let expected = next_index(&last);
            if entry.log_id.index != expected {
                return Err(LogError::Hole { expected, found: entry.log_id.index });
            }
            last = Some(entry.log_id);
        }
    }
}

fn entry_place(index: u64) -> Vec<u8> {
    [b"entry:".as_slice(), &index.to_be_bytes()].concat()
}

fn named_place(name: &str) -> Vec<u8> {
    [b"named:".as_slice(), name.as_bytes()].concat()
}
