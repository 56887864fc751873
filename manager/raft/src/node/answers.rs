//! What openraft's errors mean to a caller. Pure.
//!
//! Knows: which errors leave the outcome open. Must not know: what was asked.

use openraft::errors::{
    ChangeMembershipError, ClientWriteError, Fatal, ForwardToLeader, LinearizableReadError, RaftError,
};

use crate::api::Member;
use crate::error::{MemberError, ProposeError, ReadError};
use crate::types::Types;

type WriteError = RaftError<Types, ClientWriteError<Types>>;

pub fn propose_error(error: WriteError) -> ProposeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            ProposeError::NotLeader(leader(forward))
        }
        // It was in this leader's log, and perhaps in others'; the next leader decides.
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => ProposeError::Unknown,
        RaftError::APIError(other) => ProposeError::Stopped(other.to_string()),
        RaftError::Fatal(fatal) => ProposeError::Stopped(fatal_reason(&fatal)),
    }
}

pub fn read_error(error: RaftError<Types, LinearizableReadError<Types>>) -> ReadError {
    match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
            ReadError::NotLeader(leader(forward))
        }
        RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => ReadError::NoQuorum,
        RaftError::Fatal(fatal) => ReadError::Stopped(fatal_reason(&fatal)),
    }
}

/// What became of a membership change.
pub enum Change {
    Failed(MemberError),
    /// Another change is under way; this one may be asked for again.
    Busy,
}

pub fn member_error(error: WriteError) -> Change {
    Change::Failed(match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            MemberError::NotLeader(leader(forward))
        }
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => MemberError::Unknown,
        RaftError::APIError(ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_),
        )) => return Change::Busy,
        // Another manager's change came between the two steps of ours; the whole is asked for again.
        RaftError::APIError(ClientWriteError::PreconditionFailed(_)) => return Change::Busy,
        RaftError::APIError(other) => MemberError::Refused(other.to_string()),
        RaftError::Fatal(fatal) => MemberError::Stopped(fatal_reason(&fatal)),
    })
}

pub fn fatal_reason(fatal: &Fatal<Types>) -> String {
    match fatal {
        Fatal::Stopped => "it was shut down".to_owned(),
        Fatal::Panicked => "it panicked; see the log above".to_owned(),
        Fatal::StorageError(error) => error.to_string(),
    }
}

fn leader(forward: ForwardToLeader<Types>) -> Option<(u64, Member)> {
    forward.leader_id.zip(forward.leader_node)
}
