//! The handle a manager holds on Raft: starting, stopping, proposing and reading.
//!
//! Knows: what can be asked of Raft, and the deadline of each question. Must not know: what a command means.

mod answers;
mod cadence;
mod distance;
mod members;
mod reads;
mod report;
mod room;
mod start;
mod status;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::{RaftMetrics, ReadPolicy};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::api::{Committed, Dial, Machine, Member, Role, SenderCheck, Status};
use crate::config::{RaftConfig, StoreKey, Timing};
use crate::error::{MemberError, ProposeError, ReadError, StartError, WaitError};
use crate::log::LogWatch;
use crate::node::reads::Rounds;
use crate::snapshots::Snapshots;
use crate::types::{Command, Raft, Types};
use crate::wire::{Local, RaftService};

/// Largest command: with its entry it must fit one replication message, and several must fit one batch.
pub const MAX_COMMAND_BYTES: usize = 512 * 1024;
/// For leadership to move elsewhere before this manager stops all the same.
const HAND_OVER: Duration = Duration::from_secs(2);
/// For the log's files to be let go of after Raft has stopped.
const CLOSING: Duration = Duration::from_secs(5);

/// A running Raft node; cheap to clone, all clones are the same node.
#[derive(Clone)]
pub struct RaftNode {
    inner: Arc<Inner>,
}

struct Inner {
    id: u64,
    timing: Timing,
    raft: Raft,
    applied: watch::Receiver<u64>,
    status: watch::Receiver<Status>,
    log: LogWatch,
    snapshots: Arc<Snapshots>,
    /// The last entry that was on disk at the start; `None`: there was none.
    found: Option<u64>,
    /// Whether all of that has been applied again.
    recovered: AtomicBool,
    /// The clocks that would suit the measured distance of the voters.
    suitable: watch::Receiver<Timing>,
    /// Whether the disk under the log counts as full.
    full: watch::Receiver<bool>,
    reads: Rounds<Result<u64, ReadError>>,
    /// Held during a membership change: openraft's takes two steps, and those of two changes must not mix.
    changing: Mutex<()>,
    /// Held while shutting down, so that a second call waits for the first.
    closing: Mutex<()>,
}

impl RaftNode {
    /// Opens the store (made if missing), replays what is known to be committed, and starts Raft. An empty node
    /// waits to be added by a leader, or for [`RaftNode::bootstrap`].
    pub async fn start<M: Machine>(
        config: RaftConfig,
        machine: M,
        dial: Arc<dyn Dial>,
    ) -> Result<Self, StartError> {
        start::start(config, Box::new(machine), dial).await
    }

    /// Makes an empty node the only voter of a new group and waits until it leads.
    pub async fn bootstrap(&self, me: Member) -> Result<(), MemberError> {
        members::bootstrap(&self.inner, me).await
    }

    /// From here on everything this manager writes is sealed with `key`; returns when nothing is left on disk that it did
    /// not seal. Writes go on meanwhile. The ring of `key` must hold what came before until this has returned, also across
    /// a restart. An error of the log has stopped this manager.
    pub async fn change_key(&self, key: &StoreKey) -> io::Result<()> {
        let (snapshots, sealing) = (self.inner.snapshots.clone(), key.clone());
        tokio::task::spawn_blocking(move || snapshots.change_key(&sealing))
            .await
            .map_err(io::Error::other)??;
        self.inner.log.change_key(key.clone()).await
    }

    /// Commits one command and returns its reply. Tries once; nothing is retried here.
    pub async fn propose(&self, command: Vec<u8>) -> Result<Committed, ProposeError> {
        if command.len() > MAX_COMMAND_BYTES {
            return Err(ProposeError::TooLarge { bytes: command.len(), limit: MAX_COMMAND_BYTES });
        }
        if *self.inner.full.borrow() {
            return Err(match self.inner.is_leader() {
                true => ProposeError::DiskFull,
                false => ProposeError::NotLeader(self.leader().1),
            });
        }
        let write = self.inner.raft.client_write(Command(command.into()));
        match timeout(self.inner.patience(), write).await {
            Ok(Ok(response)) => Ok(Committed { index: response.log_id.index, reply: response.data.0 }),
            Ok(Err(error)) => Err(answers::propose_error(error)),
            Err(_) => Err(ProposeError::Unknown),
        }
    }

    /// The index that a linearizable read must wait for (with [`RaftNode::wait_applied`]). Leader only: it asks a
    /// majority whether it still is.
    pub async fn read_index(&self) -> Result<u64, ReadError> {
        self.inner.reads.ask(|| self.ask_for_read_index()).await
    }

    async fn ask_for_read_index(&self) -> Result<u64, ReadError> {
        match timeout(self.inner.patience(), self.inner.raft.get_read_linearizer(ReadPolicy::ReadIndex)).await
        {
            Ok(Ok(linearizer)) => Ok(linearizer.read_log_id().index()),
            Ok(Err(error)) => Err(answers::read_error(error)),
            Err(_) => Err(ReadError::NoQuorum),
        }
    }

    /// Waits until this manager has applied `index`.
    pub async fn wait_applied(&self, index: u64, deadline: Duration) -> Result<(), WaitError> {
        let mut applied = self.inner.applied.clone();
        match timeout(deadline, applied.wait_for(|applied| *applied >= index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(WaitError::Stopped(self.inner.stop_reason())),
            Err(_) => Err(WaitError::Deadline { wanted: index, applied: *self.inner.applied.borrow() }),
        }
    }

    /// After a start: waits until this manager has applied all it may have applied before it stopped. Until then its
    /// state may be older than what it has already shown to others. At once when it had nothing on disk.
    pub async fn wait_recovered(&self, deadline: Duration) -> Result<(), WaitError> {
        let Some(found) = self.inner.found.filter(|_| !self.inner.recovered.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        // Not to the log's end, which moves on under load; a leader may have cut off what was never committed.
        let end =
            move |metrics: &RaftMetrics<Types>| metrics.last_log_index.map_or(found, |last| last.min(found));
        let covered = move |metrics: &RaftMetrics<Types>| {
            metrics.cluster_committed.as_ref().is_some_and(|committed| committed.index >= end(metrics))
        };
        let recover = async {
            let log = self.inner.raft.wait(None);
            let metrics = log.metrics(covered, "the log found at the start is committed").await.ok()?;
            let target = end(&metrics);
            self.inner.applied.clone().wait_for(|applied| *applied >= target).await.ok().map(drop)
        };
        match timeout(deadline, recover).await {
            Ok(Some(())) => {
                self.inner.recovered.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(None) => Err(WaitError::Stopped(self.inner.stop_reason())),
            Err(_) => Err(WaitError::Recovery { applied: *self.inner.applied.borrow() }),
        }
    }

    /// Leader: begins to replicate to `member` under a fresh Raft id and waits until it has caught up with what the
    /// log held when this was called. An id that is already a member is left as it is.
    pub async fn add_learner(&self, id: u64, member: Member) -> Result<(), MemberError> {
        members::add_learner(&self.inner, id, member).await
    }

    /// Leader: changes where a member is found, for all managers and for good; what it is called never changes.
    /// Nothing happens if it stands there already.
    pub async fn update_member(&self, id: u64, member: Member) -> Result<(), MemberError> {
        members::update(&self.inner, id, member).await
    }

    /// Leader: makes a learner a voter once it has caught up. A voter is left as it is.
    pub async fn promote(&self, id: u64) -> Result<(), MemberError> {
        members::promote(&self.inner, id).await
    }

    /// Leader: takes a voter or learner out of the group. An id that is not in it is fine. A leader that removes
    /// itself hands over shortly afterwards; better transfer first.
    pub async fn remove(&self, id: u64) -> Result<(), MemberError> {
        members::remove(&self.inner, id).await
    }

    /// Leader: hands leadership to a voter and waits until it leads.
    pub async fn transfer_leader(&self, to: u64) -> Result<(), MemberError> {
        members::transfer_leader(&self.inner, to, self.inner.patience()).await
    }

    /// What this manager knows now.
    pub fn status(&self) -> Status {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        status::status(&metrics, self.inner.progress(), &self.inner.timing)
    }

    /// This manager's own Raft id.
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// This manager's part and who leads, without the cost of a whole status: every call asks.
    pub fn leader(&self) -> (Role, Option<(u64, Member)>) {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        (status::role(&metrics), status::leader(&metrics))
    }

    /// Whether the disk under the log counts as full: then this manager takes no changes.
    pub fn is_full(&self) -> bool {
        *self.inner.full.borrow()
    }

    /// Changes of [`RaftNode::status`], the last value always being available. Closed when Raft has stopped.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.inner.status.clone()
    }

    /// Raft's clocks as they run. The caller's, unless the voters were found too far apart for them before this start.
    pub fn timing(&self) -> Timing {
        self.inner.timing
    }

    /// The clocks a start would choose now. openraft cannot change them while it runs: where they differ much, a restart
    /// of this manager mends it.
    pub fn suitable_timing(&self) -> Timing {
        *self.inner.suitable.borrow()
    }

    /// The last applied index, as it moves.
    pub fn watch_applied(&self) -> watch::Receiver<u64> {
        self.inner.applied.clone()
    }

    /// The gRPC service other managers call; `check` ties a connection's identity to the Raft id it speaks for.
    pub fn service(&self, check: SenderCheck) -> crate::RaftServer<RaftService> {
        let raft = self.inner.raft.clone();
        let local =
            Local { me: self.inner.id, raft, log: self.inner.log.clone(), full: self.inner.full.clone() };
        let service = RaftService::new(local, check);
        crate::RaftServer::new(service)
            .max_decoding_message_size(swarm_proto::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(swarm_proto::MAX_MESSAGE_BYTES)
    }

    /// Hands leadership over if this node leads several voters, stops Raft and closes the store. Idempotent.
    pub async fn shutdown(&self) {
        let _turn = self.inner.closing.lock().await;
        if let Some(to) = self.inner.successor()
            && let Err(error) = members::transfer_leader(&self.inner, to, HAND_OVER).await
        {
            tracing::warn!(%error, "leadership was not handed over before stopping");
        }
        if timeout(CLOSING, self.inner.raft.shutdown()).await.is_err() {
            tracing::warn!("Raft did not stop within {CLOSING:?}");
        }
        let closed = async {
            while !self.inner.log.is_closed() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(CLOSING, closed).await.is_err() {
            tracing::warn!("the Raft log was not closed within {CLOSING:?}");
        }
    }
}

impl Inner {
    fn progress(&self) -> status::Progress {
        status::Progress { applied: *self.applied.borrow(), last: self.log.last() }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.timing.request_ms)
    }

    fn successor(&self) -> Option<u64> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        status::successor(&metrics, &self.timing)
    }

    fn stop_reason(&self) -> String {
        let metrics = self.raft.metrics();
        let state = metrics.borrow_watched().running_state.clone();
        state.err().map_or_else(|| "it was shut down".to_owned(), |fatal| fatal.to_string())
    }

    fn is_leader(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        status::role(&metrics) == Role::Leader
    }
}
