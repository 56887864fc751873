//! The one thread that writes the log: everything in the order it was asked, many requests to one flush.
//!
//! Knows: what must be on disk before whom it may tell. Must not know: why something is written.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::OnceLock;

use openraft::storage::IOFlushed;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::engine::Engine;
use super::mark::{Mark, Promise};
use super::recover::{COMMITTED, LogError, PURGED, Records, VOTE};
use super::tail::Tail;
use crate::config::StoreKey;
use crate::types::{Entry, LogId, Types, Vote, next_index};
use crate::vault::Vault;

/// Requests that may wait for the disk; beyond this, appending waits.
const QUEUE: usize = 4096;
/// Requests that share one flush at most, so that the first of them does not wait for ever.
const BATCH: usize = 1024;

/// What the log's one writer is asked to do.
pub enum Op {
    Append {
        entries: Vec<Entry>,
        generation: u64,
        done: IOFlushed<Types>,
    },
    Vote(Vote, oneshot::Sender<io::Result<()>>),
    /// Keep everything up to here, exclusive of what follows.
    TruncateAfter(Option<LogId>),
    Purge(LogId),
    /// From here on everything is sealed with this key, and what is no entry at once.
    Key(StoreKey, oneshot::Sender<io::Result<()>>),
    /// Seals the entries of this range anew that were sealed before the key was changed.
    Reseal(RangeInclusive<u64>, oneshot::Sender<io::Result<()>>),
}

/// What the writer shares with readers.
pub struct Shared {
    pub engine: Box<dyn Engine>,
    pub vault: Vault,
    pub tail: Mutex<Tail>,
    pub vote: Mutex<Option<Vote>>,
    /// What is committed and not yet noted on disk. Nobody waits for it, so it alone wakes no thread: an older value only
    /// means that more is learnt again from the leader.
    pub committed: Mutex<Option<LogId>>,
    /// Set once, when a write or flush has failed: nothing is written or acknowledged after that.
    pub failed: OnceLock<String>,
}

impl Shared {
    pub fn records(&self) -> Records<'_> {
        Records { engine: self.engine.as_ref(), vault: &self.vault }
    }

    pub fn check(&self) -> io::Result<()> {
        match self.failed.get() {
            Some(reason) => Err(failure(reason)),
            None => Ok(()),
        }
    }
}

fn failure(reason: &str) -> io::Error {
    io::Error::other(format!("the log has failed and takes nothing more: {reason}"))
}

/// Starts the writer; it ends when the last sender has gone, and lets go of the engine then.
pub fn spawn(shared: Arc<Shared>, mark: Mark, promise: Promise) -> io::Result<mpsc::Sender<Op>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let promises = Promises { mark, durable: promise, next: promise };
    std::thread::Builder::new()
        .name("raft-log".to_owned())
        .spawn(move || run(&shared, promises, receiver))?;
    Ok(sender)
}

/// The mark beside the log, and what it says.
struct Promises {
    mark: Mark,
    /// What the mark says.
    durable: Promise,
    /// What it may say after the next flush.
    next: Promise,
}

impl Promises {
    /// Takes an operation into account, before it is written.
    fn expect(&mut self, op: &Op, vault: &Vault) -> Result<(), LogError> {
        match op {
            Op::Append { entries, .. } => {
                self.next.last = entries.last().map(|e| e.log_id).or(self.next.last)
            }
            Op::Vote(vote, _) => self.next.vote = Some(*vote),
            Op::Purge(through) => self.next.last = self.next.last.max(Some(*through)),
            Op::TruncateAfter(last) => {
                self.next.last = *last;
                if next_index(&self.durable.last) > next_index(last) {
                    self.durable.last = *last;
                    self.mark.write(&self.durable, vault)?;
                    self.mark.sync()?;
                }
            }
            Op::Key(..) | Op::Reseal(..) => {}
        }
        Ok(())
    }

    /// Everything expected so far is on disk.
    fn keep(&mut self, vault: &Vault) -> Result<(), LogError> {
        self.durable = self.next;
        self.mark.write(&self.durable, vault)
    }

    /// Both sectors are sealed with the key of now, on disk.
    fn reseal(&mut self, vault: &Vault) -> Result<(), LogError> {
        self.mark.write(&self.durable, vault)?;
        self.mark.write(&self.durable, vault)?;
        self.mark.sync()
    }
}

fn run(shared: &Shared, mut promises: Promises, mut queue: mpsc::Receiver<Op>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(op) = queue.try_recv()
        {
            batch.push(op);
        }
        if let Err(reason) = write_batch(shared, &mut promises, &batch) {
            tracing::error!(%reason, "the Raft log cannot be written; this manager stops");
            let _ = shared.failed.set(reason);
        }
        finish(shared, batch);
    }
    // What was only noted (committed, purged) goes to disk with an orderly end.
    let end = || {
        note_committed(shared, &promises)?;
        shared.engine.flush()?;
        promises.mark.sync()
    };
    if shared.failed.get().is_none()
        && let Err(error) = end()
    {
        tracing::warn!(%error, "the Raft log was not flushed at its end");
    }
}

/// Notes what is committed once its entries are written.
fn note_committed(shared: &Shared, promises: &Promises) -> Result<(), LogError> {
    let written = next_index(&promises.next.last);
    let committed = shared.committed.lock().take_if(|committed| committed.index < written);
    committed.map_or(Ok(()), |committed| shared.records().put_named(COMMITTED, &committed))
}

/// Writes a batch and flushes if somebody waits for it. sled panics on some I/O errors: that is a failure too.
fn write_batch(shared: &Shared, promises: &mut Promises, batch: &[Op]) -> Result<(), String> {
    if let Some(reason) = shared.failed.get() {
        return Err(reason.clone());
    }
    let write = std::panic::AssertUnwindSafe(|| {
        let mut awaited = false;
        for op in batch {
            promises.expect(op, &shared.vault)?;
            awaited |= write_op(&shared.records(), op)?;
        }
        if awaited {
            note_committed(shared, promises)?;
            shared.engine.flush()?;
            promises.keep(&shared.vault)?;
        }
        if batch.iter().any(|op| matches!(op, Op::Key(..))) {
            promises.reseal(&shared.vault)?;
        }
        Ok::<(), LogError>(())
    });
    match std::panic::catch_unwind(write) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the storage engine panicked; see the log above".to_owned()),
    }
}

/// Whether somebody waits for this operation to be on disk.
fn write_op(records: &Records<'_>, op: &Op) -> Result<bool, LogError> {
    match op {
        Op::Append { entries, .. } => {
            entries.iter().try_for_each(|entry| records.put_entry(entry))?;
            Ok(true)
        }
        Op::Vote(vote, _) => records.put_named(VOTE, vote).map(|()| true),
        Op::TruncateAfter(last) => Ok(records.engine.remove_from(next_index(last)).map(|()| false)?),
        Op::Purge(through) => {
            // The other order could leave a log that begins nowhere.
            records.put_named(PURGED, through)?;
            Ok(records.engine.remove_through(through.index).map(|()| false)?)
        }
        Op::Key(key, _) => records.change_key(key).map(|()| true),
        Op::Reseal(range, _) => records.reseal(range).map(|()| true),
    }
}

fn finish(shared: &Shared, batch: Vec<Op>) {
    for op in batch {
        let result = shared.check();
        match op {
            Op::Append { entries, generation, done } => {
                if let (Ok(()), Some(last)) = (&result, entries.last()) {
                    shared.tail.lock().written(generation, last.log_id.index);
                }
                done.io_completed(result);
            }
            Op::Vote(vote, done) => {
                if result.is_ok() {
                    *shared.vote.lock() = Some(vote);
                }
                // The asker may be gone; the vote stands all the same.
                let _ = done.send(result);
            }
            Op::Key(_, done) | Op::Reseal(_, done) => drop(done.send(result)),
            Op::TruncateAfter(_) | Op::Purge(_) => {}
        }
    }
}
