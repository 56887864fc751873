//! The words this crate shares with its caller: the machine it drives, the members it talks to, what it reports.
//!
//! Knows: shapes only. Must not know: openraft, sled, tonic services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tonic::transport::Channel;

/// The replicated state machine. Every manager applies the same entries at the same indexes, one at a time.
///
/// `apply` and `restore` run on the Raft worker and must not block; what `snapshot` returns runs on a blocking thread.
pub trait Machine: Send + 'static {
    /// Applies the command at `index` and returns the reply for its proposer. An error means this manager cannot
    /// go on (an undecodable or unknown command): it stops, and nothing later is applied.
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, MachineError>;
    /// The same where nobody waits for the reply, as on every manager but the leader: it need not be spelled.
    fn replay(&mut self, index: u64, entry: &[u8]) -> Result<(), MachineError> {
        self.apply(index, entry).map(drop)
    }
    /// Captures the state as it is now; the closure encodes it later, beside further applies.
    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send>;
    /// Replaces the whole state with a snapshot that covers everything up to and including `index`.
    fn restore(&mut self, index: u64, bytes: &[u8]) -> Result<(), MachineError>;
}

/// Why a machine cannot go on: one sentence saying what was read and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MachineError(pub String);

/// A member of the Raft group as it stands in the replicated membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Node id of the manager, as in its certificate.
    pub node: String,
    /// Where its Raft service listens.
    pub addr: SocketAddr,
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.node, self.addr)
    }
}

/// Opens authenticated channels to other managers. Called again whenever a channel has failed.
pub trait Dial: Send + Sync + 'static {
    /// A channel that ends at `member` and nobody else. The error is a sentence for the log.
    fn channel(&self, member: &Member) -> BoxFuture<'static, Result<Channel, String>>;
}

/// Says whether the peer of a connection (its extensions carry the TLS identity) may speak for a Raft id.
/// The member is `None` while this manager does not know that id (it lags, or is only just joining).
pub type SenderCheck =
    Arc<dyn Fn(&tonic::Extensions, u64, Option<&Member>) -> Result<(), String> + Send + Sync>;

/// A command that a majority has on disk and that this manager has applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its index in the log; commands begin at 1.
    pub index: u64,
    /// What [`Machine::apply`] returned for it.
    pub reply: Vec<u8>,
}

/// What a manager is in Raft at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Leader,
    Candidate,
    Follower,
    /// Receives the log and has no vote; also a manager that has not been added yet.
    Learner,
    /// Raft has stopped for good (see [`Status::stopped`]), or was shut down.
    Stopped,
}

/// What one manager knows about Raft. Everything but `id` may be behind the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub id: u64,
    pub term: u64,
    /// The leader as this manager knows it, with its address when it is in the membership.
    pub leader: Option<(u64, Member)>,
    pub role: Role,
    /// Index of the last entry this manager has applied; 0 before the first.
    pub applied: u64,
    /// The last entry of this manager's log and its term, committed or not: of two managers the one with the greater
    /// (`last_term`, `last_index`) may know more. 0 while the log is empty.
    pub last_index: u64,
    pub last_term: u64,
    pub voters: BTreeMap<u64, Member>,
    pub learners: BTreeMap<u64, Member>,
    /// On the leader: itself and the ids that acknowledged it within an election timeout. Elsewhere empty.
    pub heard: BTreeSet<u64>,
    /// Why Raft stopped, when it did so by itself (a broken file, a failed flush).
    pub stopped: Option<String>,
}
