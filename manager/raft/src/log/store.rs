//! The log as openraft wants it: appends return at once and report when they are on disk.
//!
//! Knows: openraft's storage contract. Must not know: how records reach the disk.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::engine::Engine;
use super::mark::Promise;
use super::recover::{LogError, recover};
use super::tail::{Tail, size};
use super::writer::{Op, Shared, spawn};
use crate::config::StoreKey;
use crate::types::{Entry, LogId, Types, Vote, next_index};
use crate::vault::{Vault, VaultError};

/// Entries sent to another manager at a time, in bytes: well below what one message may have.
const REPLICATION_BYTES: usize = 1024 * 1024;
/// Entries read at a time for applying.
const APPLY_BYTES: usize = 4 * 1024 * 1024;
/// Entries sealed anew between two other writes.
const RESEALED_AT_ONCE: u64 = 256;
/// A truncation or purge may pass while a range is read from disk; then it is read anew.
const READ_ATTEMPTS: usize = 8;

/// The writing end of the log, one per node.
pub struct LogStore {
    shared: Arc<Shared>,
    ops: mpsc::Sender<Op>,
    committed: Option<LogId>,
}

/// A reading end of the log; there may be many.
#[derive(Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
}

/// Tells how far the log goes, and when its files are no longer in use by this process.
#[derive(Clone)]
pub struct LogWatch {
    shared: Weak<Shared>,
    ops: mpsc::WeakSender<Op>,
}

impl LogWatch {
    pub fn is_closed(&self) -> bool {
        self.shared.strong_count() == 0
    }

    /// From here on `key` seals; returns when nothing is left in the log that it did not seal. Writes go on meanwhile.
    pub async fn change_key(&self, key: StoreKey) -> io::Result<()> {
        self.ask(|done| Op::Key(key, done)).await?;
        let Some((mut first, end)) = self.shared.upgrade().map(|shared| shared.tail.lock().range()) else {
            return Err(closed());
        };
        while first < end {
            let last = end.min(first.saturating_add(RESEALED_AT_ONCE)) - 1;
            self.ask(|done| Op::Reseal(first..=last, done)).await?;
            first = last + 1;
        }
        Ok(())
    }

    async fn ask(&self, op: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Op) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        let ops = self.ops.upgrade().ok_or_else(closed)?;
        ops.send(op(done)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// The vote that is on disk.
    pub fn durable_vote(&self) -> Option<Vote> {
        self.shared.upgrade().and_then(|shared| *shared.vote.lock())
    }

    /// The last entry, on disk or not; `None` once the log is closed.
    pub fn last(&self) -> Option<LogId> {
        self.shared.upgrade().and_then(|shared| shared.tail.lock().last())
    }
}

impl LogStore {
    /// Takes over the log in `engine` for Raft id `id`, checking every record of it, and against the file `mark` that
    /// none is missing. Blocks.
    pub fn open(engine: Box<dyn Engine>, mark: &Path, key: &StoreKey, id: u64) -> Result<Self, LogError> {
        let sealing = |source: VaultError| LogError::Sealed { record: "the storage key".to_owned(), source };
        let shared = Shared {
            engine,
            vault: Vault::new(key).map_err(sealing)?,
            tail: Mutex::default(),
            vote: Mutex::default(),
            committed: Mutex::default(),
            failed: OnceLock::new(),
        };
        let (recovered, mark) = recover(&shared.records(), mark, id)?;
        let promise = Promise { vote: recovered.vote, last: recovered.last };
        *shared.tail.lock() = Tail::new(recovered.purged, recovered.last);
        *shared.vote.lock() = recovered.vote;
        let shared = Arc::new(shared);
        let ops = spawn(shared.clone(), mark, promise)
            .map_err(|source| super::EngineError::Io { action: "starting the log's writer", source })?;
        Ok(Self { shared, ops, committed: recovered.committed })
    }

    pub fn watch(&self) -> LogWatch {
        LogWatch { shared: Arc::downgrade(&self.shared), ops: self.ops.downgrade() }
    }

    async fn ask(&self, op: Op) -> io::Result<()> {
        self.shared.check()?;
        self.ops.send(op).await.map_err(|_| closed())
    }
}

impl LogReader {
    /// Entries of `first..end` that exist, ascending without holes, as far as `max_bytes` go (but one at least).
    async fn read(&self, first: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let mut failure = io::Error::other(format!("entries {first}..{end} of the log are not all there"));
        for _ in 0..READ_ATTEMPTS {
            let plan = self.shared.tail.lock().plan(first, end);
            if plan.first == plan.from_memory {
                return Ok(limit(plan.memory, max_bytes));
            }
            let wanted = plan.first..plan.from_memory;
            match self.read_disk(wanted.clone(), max_bytes).await {
                Ok(entries) if !is_prefix(&entries, wanted.clone()) => {}
                Ok(entries) if (entries.len() as u64) < wanted.end - wanted.start => return Ok(entries),
                Ok(mut entries) => {
                    entries.extend(plan.memory);
                    return Ok(limit(entries, max_bytes));
                }
                // A record that is just being truncated or purged may be seen by halves.
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn read_disk(&self, wanted: Range<u64>, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let shared = self.shared.clone();
        let read = move || shared.records().every_entry(wanted.start, wanted.end - 1, max_bytes);
        let entries = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?;
        Ok(entries?)
    }
}

fn closed() -> io::Error {
    io::Error::other("the log's writer has ended")
}

fn is_prefix(entries: &[Entry], wanted: Range<u64>) -> bool {
    !entries.is_empty() && entries.iter().map(|e| e.log_id.index).eq(wanted.take(entries.len()))
}

fn limit(mut entries: Vec<Entry>, max_bytes: usize) -> Vec<Entry> {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        bytes += size(entry);
        bytes <= max_bytes
    };
    let count = entries.iter().take_while(fits).count();
    entries.truncate(count.max(1));
    entries
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let first = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => index.saturating_add(1),
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    (first, end)
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (first, end) = bounds(&range);
        self.read(first, end, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, REPLICATION_BYTES).await
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl futures::Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (first, end) = bounds(&range);
        let chunks = futures::stream::try_unfold((self.clone(), first), move |(reader, first)| async move {
            let entries = if first < end { reader.read(first, end, APPLY_BYTES).await? } else { Vec::new() };
            let next = entries.last().map(|entry| entry.log_id.index + 1);
            Ok::<_, io::Error>(
                next.map(|next| (futures::stream::iter(entries.into_iter().map(Ok)), (reader, next))),
            )
        });
        futures::TryStreamExt::try_flatten(chunks)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(*self.shared.vote.lock())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let tail = self.shared.tail.lock();
        Ok(LogState { last_purged_log_id: tail.purged(), last_log_id: tail.last() })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader { shared: self.shared.clone() }
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (done, saved) = oneshot::channel();
        self.ask(Op::Vote(*vote, done)).await?;
        saved.await.map_err(|_| closed())?
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.committed = committed;
        self.shared.check()?;
        if committed.is_some() {
            *self.shared.committed.lock() = committed;
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let generation = {
            let mut tail = self.shared.tail.lock();
            for entry in &entries {
                if !tail.append(entry.clone()) {
                    let expected = next_index(&tail.last());
                    let found = entry.log_id.index;
                    return Err(LogError::Hole { expected, found }.into());
                }
            }
            tail.generation()
        };
        self.ask(Op::Append { entries, generation, done: callback }).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.shared.tail.lock().truncate_after(last);
        self.ask(Op::TruncateAfter(last)).await
    }

    async fn purge(&mut self, through: LogId) -> io::Result<()> {
        self.shared.tail.lock().purge(through);
        self.ask(Op::Purge(through)).await
    }
}
