//! The log on sled 0.34, in the armour it needs.
//!
//! Knows: sled's faults. Must not know: what the records hold.
//!
//! - `flush` ends in `sync_file_range`, never an fsync: we fdatasync the `db` file ourselves after each flush.
//! - A process killed while sled writes its snapshot at open leaves `snap.X.generating`, which the next open takes for
//!   the newest snapshot and fails on: removed before every open. `snap.*` are only a cache and may all go.
//! - Values that fill a leaf beyond a quarter of a segment go to `blobs/`, whose files are never synced: a record is
//!   cut into parts small enough that no leaf gets there.
//! - The log of a plain `insert` order is recovered as a prefix; `apply_batch` would only cost more.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::engine::{Engine, EngineError};

/// A leaf holds up to 16 items and spills to blobs beyond a quarter of a 512 KiB segment, so 8 KiB an item with its key.
const PART_BYTES: usize = 7 * 1024;
const SEGMENT_BYTES: usize = 512 * 1024;
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// How long an earlier handle of this process may still hold the file lock while its last readers go.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// A sled database with two trees: `log`, keyed by index and part, and `meta`, keyed by name.
pub struct SledEngine {
    db: sled::Db,
    log: sled::Tree,
    meta: sled::Tree,
    file: File,
}

impl SledEngine {
    /// Opens or creates the database in `dir` and drops a record whose last parts a crash cut off.
    pub fn open(dir: &Path) -> Result<Self, EngineError> {
        fs::create_dir_all(dir).map_err(io_error("creating the log folder"))?;
        remove_files(dir, |name| name.ends_with(".generating"))?;
        let db = open_patiently(dir)?;
        let log = db.open_tree("log").map_err(sled_error("opening the log"))?;
        let meta = db.open_tree("meta").map_err(sled_error("opening the log"))?;
        let file =
            File::options().write(true).open(dir.join("db")).map_err(io_error("opening the log file"))?;
        let engine = Self { db, log, meta, file };
        engine.drop_torn_record()?;
        engine.flush()?;
        sync_names(dir)?;
        Ok(engine)
    }

    /// The last record may lack parts that never reached the disk; it was not acknowledged, so it goes.
    fn drop_torn_record(&self) -> Result<(), EngineError> {
        let Some(last) = self.log.last().map_err(sled_error("reading the log"))? else { return Ok(()) };
        let (index, _) = split_key(&last.0)?;
        match self.read(index, index, 0) {
            Ok(_) => Ok(()),
            Err(EngineError::Damaged(_)) => self.remove_from(index),
            Err(error) => Err(error),
        }
    }

    fn remove_keys(&self, keys: impl Iterator<Item = sled::Result<sled::IVec>>) -> Result<(), EngineError> {
        for key in keys {
            let key = key.map_err(sled_error("reading the log"))?;
            self.log.remove(key).map_err(sled_error("removing log entries"))?;
        }
        Ok(())
    }
}

impl Engine for SledEngine {
    fn put(&self, index: u64, value: &[u8]) -> Result<(), EngineError> {
        let parts = value.len().div_ceil(PART_BYTES).max(1);
        let count = u16::try_from(parts).map_err(|_| EngineError::Io {
            action: "writing a log entry",
            source: io::Error::new(io::ErrorKind::InvalidInput, "an entry of more than 65,535 parts"),
        })?;
        // Each part says how many there are, so that a record is known to be whole without looking beyond it.
        let mut rest = value;
        for part in 0..count {
            let (now, later) = rest.split_at(rest.len().min(PART_BYTES));
            let mut record = Vec::with_capacity(now.len() + 2);
            record.extend_from_slice(&count.to_be_bytes());
            record.extend_from_slice(now);
            self.log.insert(key(index, part), record).map_err(sled_error("writing a log entry"))?;
            rest = later;
        }
        Ok(())
    }

    fn read(&self, first: u64, last: u64, max_bytes: usize) -> Result<Vec<(u64, Vec<u8>)>, EngineError> {
        let mut found = Vec::new();
        let mut open: Option<Partial> = None;
        let mut bytes = 0;
        for item in self.log.range(key(first, 0)..=key(last, u16::MAX)) {
            let (key, record) = item.map_err(sled_error("reading the log"))?;
            let partial = match open.take() {
                Some(partial) => partial.join(&key, &record)?,
                None if bytes > max_bytes => return Ok(found),
                None => Partial::begin(&key, &record)?,
            };
            if partial.missing > 0 {
                open = Some(partial);
                continue;
            }
            bytes += partial.value.len();
            found.push((partial.index, partial.value));
        }
        match open {
            Some(partial) => Err(partial.cut_off()),
            None => Ok(found),
        }
    }

    fn remove_from(&self, first: u64) -> Result<(), EngineError> {
        self.remove_keys(self.log.range(key(first, 0)..).keys().rev())
    }

    fn remove_through(&self, last: u64) -> Result<(), EngineError> {
        self.remove_keys(self.log.range(..=key(last, u16::MAX)).keys())
    }

    fn put_named(&self, name: &str, value: &[u8]) -> Result<(), EngineError> {
        self.meta.insert(name, value).map_err(sled_error("writing the log's head"))?;
        Ok(())
    }

    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let value = self.meta.get(name).map_err(sled_error("reading the log's head"))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.db.flush().map_err(sled_error("flushing the log"))?;
        self.file.sync_data().map_err(io_error("syncing the log file"))
    }
}

/// A record of which some parts have been read.
struct Partial {
    index: u64,
    next: u16,
    missing: u16,
    value: Vec<u8>,
}

impl Partial {
    fn begin(key: &[u8], record: &[u8]) -> Result<Self, EngineError> {
        let (index, part) = split_key(key)?;
        let (count, value) = split_record(record)?;
        if part != 0 || count == 0 {
            return Err(EngineError::Damaged(format!("entry {index} begins at part {part} of {count}")));
        }
        Ok(Self { index, next: 1, missing: count - 1, value: value.to_vec() })
    }

    fn join(mut self, key: &[u8], record: &[u8]) -> Result<Self, EngineError> {
        let (index, part) = split_key(key)?;
        let (_, value) = split_record(record)?;
        if index != self.index || part != self.next {
            return Err(self.cut_off());
        }
        self.value.extend_from_slice(value);
        self.next += 1;
        self.missing -= 1;
        Ok(self)
    }

    fn cut_off(&self) -> EngineError {
        EngineError::Damaged(format!("entry {} lacks {} of its parts", self.index, self.missing))
    }
}

fn key(index: u64, part: u16) -> [u8; 10] {
    let mut key = [0; 10];
    let (high, low) = key.split_at_mut(8);
    high.copy_from_slice(&index.to_be_bytes());
    low.copy_from_slice(&part.to_be_bytes());
    key
}

fn split_key(key: &[u8]) -> Result<(u64, u16), EngineError> {
    let damaged = || EngineError::Damaged("a key that is no log index".to_owned());
    let (index, part) = key.split_first_chunk::<8>().ok_or_else(damaged)?;
    let part: [u8; 2] = part.try_into().map_err(|_| damaged())?;
    Ok((u64::from_be_bytes(*index), u16::from_be_bytes(part)))
}

fn split_record(record: &[u8]) -> Result<(u16, &[u8]), EngineError> {
    let damaged = || EngineError::Damaged("a record without its number of parts".to_owned());
    let (count, value) = record.split_first_chunk::<2>().ok_or_else(damaged)?;
    Ok((u16::from_be_bytes(*count), value))
}

/// Opens, waiting for a lock that is about to go, and once more without sled's snapshots if those are damaged.
fn open_patiently(dir: &Path) -> Result<sled::Db, EngineError> {
    let until = Instant::now() + LOCK_WAIT;
    let mut snapshots_removed = false;
    loop {
        let result = sled::Config::new()
            .path(dir)
            .flush_every_ms(None)
            .use_compression(false)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .mode(sled::Mode::HighThroughput)
            .open();
        match result {
            Ok(db) => return Ok(db),
            Err(error) if is_locked(&error) && Instant::now() < until => pause(),
            Err(error) if is_locked(&error) => return Err(EngineError::Locked),
            Err(sled::Error::Corruption { .. }) if !snapshots_removed => {
                remove_files(dir, |name| name.starts_with("snap."))?;
                snapshots_removed = true;
            }
            Err(error) => return Err(sled_error("opening the log")(error)),
        }
    }
}

// The lock has no event to wait for, and opening happens on a blocking thread.
#[allow(clippy::disallowed_methods)]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(e) if e.kind() == io::ErrorKind::WouldBlock || e.to_string().contains("lock"))
}

fn remove_files(dir: &Path, doomed: impl Fn(&str) -> bool) -> Result<(), EngineError> {
    for entry in fs::read_dir(dir).map_err(io_error("listing the log folder"))? {
        let entry = entry.map_err(io_error("listing the log folder"))?;
        if entry.file_name().to_str().is_some_and(&doomed) {
            fs::remove_file(entry.path()).map_err(io_error("removing a stale snapshot of the log"))?;
        }
    }
    Ok(())
}

/// sled never syncs the names of the files it creates; a log that nobody can find is lost all the same.
fn sync_names(dir: &Path) -> Result<(), EngineError> {
    let sync =
        |path: &Path| File::open(path).and_then(|f| f.sync_all()).map_err(io_error("syncing the log folder"));
    sync(&dir.join("conf"))?;
    sync(dir)?;
    dir.parent().map_or(Ok(()), sync)
}

fn io_error(action: &'static str) -> impl Fn(io::Error) -> EngineError {
    move |source| EngineError::Io { action, source }
}

fn sled_error(action: &'static str) -> impl Fn(sled::Error) -> EngineError {
    move |error| match error {
        sled::Error::Io(source) => EngineError::Io { action, source },
        error => EngineError::Damaged(format!("{action}: {error}")),
    }
}
