//! What went wrong, as gRPC says it. The message is the whole sentence; the code decides the exit code.
//! Knows: errors and codes. Must not know: how they came about.

use crate::authorise::Denied;
use crate::codec::CodecError;
use crate::linearize::NotFresh;
use crate::propose::{LeadFailed, ProposeFailed};
use swarm_raft::{MemberError, ProposeError};
use swarm_state::{Refusal, RefusalKind, Reply};
use tonic::Status;

pub fn refusal(refusal: &Refusal) -> Status {
    let text = refusal.to_string();
    match refusal.kind() {
        // "Ambiguous" shares the exit code of "not found": the reference names nothing.
        RefusalKind::NotFound | RefusalKind::Ambiguous => Status::not_found(text),
        RefusalKind::AlreadyExists => Status::already_exists(text),
        RefusalKind::Invalid => Status::invalid_argument(text),
        RefusalKind::Precondition => Status::failed_precondition(text),
        RefusalKind::Exhausted => Status::resource_exhausted(text),
        RefusalKind::Denied => Status::permission_denied(text),
    }
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        let text = denied.to_string();
        match denied {
            Denied::NoCertificate { .. } => Self::unauthenticated(text),
            Denied::NotPermitted { .. }
            | Denied::RoleNotPermitted { .. }
            | Denied::NotMember { .. }
            | Denied::OtherCluster { .. }
            | Denied::NotAUser { .. } => Self::permission_denied(text),
        }
    }
}

impl From<ProposeFailed> for Status {
    fn from(failed: ProposeFailed) -> Self {
        let text = failed.to_string();
        match failed {
            ProposeFailed::Refused(reason) => refusal(&reason),
            ProposeFailed::NoLeader(_) | ProposeFailed::LetGo(_) | ProposeFailed::Stopped(_) => {
                Self::unavailable(text)
            }
            ProposeFailed::Unknown(_) => Self::deadline_exceeded(text),
            ProposeFailed::TooLarge(_) => Self::resource_exhausted(text),
            ProposeFailed::NotYet(_) => Self::failed_precondition(text),
            ProposeFailed::Codec(_) => Self::internal(text),
            ProposeFailed::Denied(status) => status,
        }
    }
}

/// For the manager that handed the change over: `Aborted` says that nothing was written here.
impl From<LeadFailed> for Status {
    fn from(failed: LeadFailed) -> Self {
        let text = failed.to_string();
        match failed {
            LeadFailed::Raft(ProposeError::NotLeader(_)) => Self::aborted(text),
            LeadFailed::Raft(ProposeError::Unknown) => Self::deadline_exceeded(text),
            LeadFailed::Raft(ProposeError::TooLarge { .. } | ProposeError::DiskFull) => {
                Self::resource_exhausted(text)
            }
            LeadFailed::Raft(ProposeError::Stopped(_)) => Self::unavailable(text),
            LeadFailed::NotYet(_) => Self::failed_precondition(text),
            LeadFailed::Codec(_) => Self::internal(text),
        }
    }
}

impl From<NotFresh> for Status {
    fn from(not_fresh: NotFresh) -> Self {
        Self::unavailable(not_fresh.to_string())
    }
}

impl From<CodecError> for Status {
    fn from(error: CodecError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

pub fn member(error: &MemberError) -> Status {
    let text = error.to_string();
    match error {
        MemberError::NotLeader(_) => Status::aborted(text),
        MemberError::Unknown => Status::deadline_exceeded(text),
        MemberError::Refused(_) => Status::failed_precondition(text),
        MemberError::Stopped(_) => Status::unavailable(text),
    }
}

/// A reply of another kind than the command's: the two disagree on what was asked.
pub fn unexpected(reply: &Reply) -> Status {
    Status::internal(format!("the change was made, but its reply is not the one expected: {reply:?}"))
}
