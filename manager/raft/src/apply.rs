//! Drives the caller's machine with what Raft has committed, and takes and installs its snapshots.
//!
//! Knows: openraft's state machine contract. Must not know: what a command does.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::api::{Machine, MachineError};
use crate::snapshots::Snapshots;
use crate::types::{Entry, LogId, Reply, Snapshot, SnapshotMeta, StoredMembership, Types};

/// Answers held back at most, so that those who wait are told together.
const REPLIES: usize = 64;

type Replies = Vec<(ApplyResponder<Types>, Reply)>;

/// The machine, how far it has got, and where its snapshots lie.
pub struct Applier {
    // Never contended: a mutex only because openraft wants its parts shareable and a machine need not be.
    machine: Mutex<Box<dyn Machine>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshots: Arc<Snapshots>,
    progress: watch::Sender<u64>,
    /// Whether the disk that snapshots go to counts as full.
    full: watch::Receiver<bool>,
}

impl Applier {
    /// An applier for a machine in its initial state; openraft restores the newest snapshot and the rest of the log.
    pub fn new(
        machine: Box<dyn Machine>,
        snapshots: Arc<Snapshots>,
        progress: watch::Sender<u64>,
        full: watch::Receiver<bool>,
    ) -> Self {
        let (applied, membership) = Default::default();
        Self { machine: Mutex::new(machine), applied, membership, snapshots, progress, full }
    }

    /// `None` where nobody waits for a reply.
    fn apply_entry(&mut self, entry: Entry, awaited: bool) -> io::Result<Option<Reply>> {
        let index = entry.log_id.index;
        let machine = self.machine.get_mut();
        let reply = match entry.payload {
            EntryPayload::Normal(command) if awaited => Some(machine.apply(index, &command.0)),
            EntryPayload::Normal(command) => machine.replay(index, &command.0).map(|()| None).transpose(),
            EntryPayload::Blank => awaited.then(|| Ok(Vec::new())),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                awaited.then(|| Ok(Vec::new()))
            }
        };
        let reply = reply.transpose().map_err(|e| stop(index, e))?;
        self.applied = Some(entry.log_id);
        Ok(reply.map(Reply))
    }

    /// Applies what comes; `replies` are for those who wait. An error leaves both as far as it got.
    async fn apply_all<Strm>(&mut self, mut entries: Strm, replies: &mut Replies) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let reply = self.apply_entry(entry, responder.is_some())?;
            replies.extend(responder.zip(reply));
            if replies.len() >= REPLIES {
                self.tell(replies);
            }
        }
        Ok(())
    }

    /// Says how far the machine is, and answers those whose entries it has applied.
    fn tell(&self, replies: &mut Replies) {
        if let Some(applied) = self.applied {
            let moved = |told: &mut u64| std::mem::replace(told, applied.index) != applied.index;
            self.progress.send_if_modified(moved);
        }
        replies.drain(..).for_each(|(responder, reply)| responder.send(reply));
    }
}

fn stop(index: u64, error: MachineError) -> io::Error {
    io::Error::other(format!(
        "entry {index} of the log cannot be applied: {error}; this manager stops rather than guess"
    ))
}

impl RaftStateMachine<Types> for Applier {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut replies = Vec::new();
        let applied = self.apply_all(entries, &mut replies).await;
        self.tell(&mut replies);
        applied
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            encode: Mutex::new(Some(self.machine.get_mut().snapshot())),
            meta: SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() },
            snapshots: self.snapshots.clone(),
        }
    }

    /// A snapshot that is only due can wait for space; one that a follower needs cannot.
    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        match *self.full.borrow() && !force {
            true => None,
            false => Some(self.get_snapshot_builder().await),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        let index = meta.last_log_id.map_or(0, |id| id.index);
        // Restored first: a snapshot this version cannot read must not become the one it starts from.
        self.machine.get_mut().restore(index, &snapshot).map_err(|error| {
            io::Error::other(format!("the snapshot at entry {index} cannot be restored: {error}"))
        })?;
        let (snapshots, meta_to_save) = (self.snapshots.clone(), meta.clone());
        blocking(move || match snapshots.is_newest(meta_to_save.last_log_id.as_ref())? {
            true => Ok(()),
            false => snapshots.save(&meta_to_save, &snapshot),
        })
        .await?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.progress.send_replace(index);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let snapshots = self.snapshots.clone();
        blocking(move || snapshots.newest()).await
    }
}

type Encode = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// One snapshot being taken, beside further applies.
pub struct Builder {
    // In a mutex only because openraft wants a builder to be shareable.
    encode: Mutex<Option<Encode>>,
    meta: SnapshotMeta,
    snapshots: Arc<Snapshots>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let encode =
            self.encode.get_mut().take().ok_or_else(|| io::Error::other("a snapshot is built once"))?;
        let (snapshots, meta) = (self.snapshots.clone(), self.meta.clone());
        blocking(move || {
            let snapshot = Bytes::from(encode());
            snapshots.save(&meta, &snapshot)?;
            Ok(Snapshot { meta, snapshot })
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, crate::snapshots::SnapshotError> + Send + 'static,
) -> io::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??)
}
