//! What can go wrong here, by what the caller can do about it. Knows: sentences. Must not know: openraft's own errors.

use crate::api::Member;

/// Why a Raft node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Config(String),
    #[error("cannot open the Raft store in {dir}: {reason}")]
    Store { dir: String, reason: String },
    #[error("Raft did not start: {0}")]
    Raft(String),
}

/// Why no Raft directory was made. What was there before is as it was.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a new Raft store in {dir}: {reason}")]
pub struct SeedError {
    pub dir: String,
    pub reason: String,
}

/// Why a command was not (or perhaps not) committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was written here. `None`: no leader is known right now, or the new one is not ready yet; ask again shortly.
    #[error("this manager is not the leader{}", leader_hint(.0))]
    NotLeader(Option<(u64, Member)>),
    /// The command may or may not be committed, now or later; only a retry with the same request id is safe.
    #[error("no majority of managers confirmed the change in time; whether it will happen is unknown")]
    Unknown,
    /// Nothing was written.
    #[error("the change is {bytes} bytes, more than the {limit} that one Raft entry may have; split it")]
    TooLarge { bytes: usize, limit: usize },
    /// Nothing was written. It goes on by itself once there is space.
    #[error("the disk under this manager's Raft log is full; free some space there, or ask another manager")]
    DiskFull,
    #[error("Raft has stopped on this manager: {0}")]
    Stopped(String),
}

/// Why no read index could be given. Nothing has changed in any case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("this manager is not the leader{}", leader_hint(.0))]
    NotLeader(Option<(u64, Member)>),
    #[error("no majority of managers confirmed the leader in time; check that they are reachable")]
    NoQuorum,
    #[error("Raft has stopped on this manager: {0}")]
    Stopped(String),
}

/// Why a change of members or of the leader did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    #[error("this manager is not the leader{}", leader_hint(.0))]
    NotLeader(Option<(u64, Member)>),
    /// The change may still complete.
    #[error("the change of Raft members was not confirmed in time; whether it will happen is unknown")]
    Unknown,
    #[error("{0}")]
    Refused(String),
    #[error("Raft has stopped on this manager: {0}")]
    Stopped(String),
}

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    #[error("this manager has applied the log up to {applied} and not to {wanted} in time")]
    Deadline { wanted: u64, applied: u64 },
    #[error(
        "this manager has applied the log up to {applied} and has not learnt in time how far it is committed"
    )]
    Recovery { applied: u64 },
    #[error("Raft has stopped on this manager: {0}")]
    Stopped(String),
}

fn leader_hint(leader: &Option<(u64, Member)>) -> String {
    match leader {
        Some((_, member)) => format!("; the leader is {member}"),
        None => ", and no leader is known at the moment; try again shortly".to_owned(),
    }
}
