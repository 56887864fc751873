//! Which Raft messages can be true. openraft trusts its peers; a message that no correct manager sends stops here.
//!
//! Knows: the shape of correct messages. Must not know: this manager's own state.

use openraft::raft::{AppendEntriesRequest, VoteRequest};
use tonic::Status;

use super::envelope::Envelope;
use crate::types::{LogId, SnapshotMeta, Types, Vote, next_index};

/// No log is this long; counting on from here must not wrap.
const MOST_INDEX: u64 = u64::MAX / 2;

/// The leader or candidate a vote stands for speaks for itself only.
pub fn own_vote(from: u64, vote: &Vote) -> Result<(), Status> {
    if vote.leader_id.voted_for != from {
        return Err(refused(format!("it comes from {from} and speaks for {}", vote.leader_id.voted_for)));
    }
    Ok(())
}

pub fn append(from: u64, request: &AppendEntriesRequest<Types>) -> Result<(), Status> {
    own_vote(from, &request.vote)?;
    leads(&request.vote)?;
    let mut previous = request.prev_log_id;
    for entry in &request.entries {
        if entry.log_id.index != next_index(&previous)
            || previous.is_some_and(|p| term(&p) > term(&entry.log_id))
        {
            return Err(refused(format!("its entries have a gap before index {}", entry.log_id.index)));
        }
        previous = Some(entry.log_id);
    }
    within_term(&request.vote, previous.as_ref())?;
    within_term(&request.vote, request.leader_commit.as_ref())
}

/// A sign of life carries nothing.
pub fn heartbeat(message: &Envelope<AppendEntriesRequest<Types>>) -> Result<(), Status> {
    match message.heartbeat && !message.body.entries.is_empty() {
        true => Err(refused("it is a heartbeat and carries entries".to_owned())),
        false => Ok(()),
    }
}

pub fn vote(from: u64, request: &VoteRequest<Types>) -> Result<(), Status> {
    own_vote(from, &request.vote)?;
    if request.vote.committed {
        return Err(refused("it asks for a vote that is already granted".to_owned()));
    }
    within_term(&request.vote, request.last_log_id.as_ref())
}

pub fn snapshot(from: u64, vote: &Vote, meta: &SnapshotMeta) -> Result<(), Status> {
    own_vote(from, vote)?;
    leads(vote)?;
    if meta.last_log_id.is_none() {
        return Err(refused("its snapshot covers nothing".to_owned()));
    }
    within_term(vote, meta.last_log_id.as_ref())
}

/// Only a leader that a majority has elected sends entries or snapshots.
pub fn leads(vote: &Vote) -> Result<(), Status> {
    if vote.committed { Ok(()) } else { Err(refused("its sender has not been elected".to_owned())) }
}

fn within_term(vote: &Vote, id: Option<&LogId>) -> Result<(), Status> {
    match id {
        Some(id) if id.index > MOST_INDEX => Err(refused(format!("it names an entry of index {}", id.index))),
        Some(id) if term(id) > vote.leader_id.term => Err(refused(format!(
            "it is of term {} and names an entry of term {}",
            vote.leader_id.term,
            term(id)
        ))),
        _ => Ok(()),
    }
}

fn term(id: &LogId) -> u64 {
    id.committed_leader_id().term
}

fn refused(reason: String) -> Status {
    Status::invalid_argument(format!("this Raft message cannot be true: {reason}"))
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;
    use openraft::vote::RaftLeaderId;

    use super::*;
    use crate::types::Entry;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(openraft::alias::LeaderIdOf::<Types>::new(term, 1).to_committed(), index)
    }

    fn request(prev: Option<LogId>, entries: &[LogId]) -> AppendEntriesRequest<Types> {
        AppendEntriesRequest {
            vote: Vote::new_committed(5, 1),
            prev_log_id: prev,
            entries: entries.iter().map(|id| Entry { log_id: *id, payload: EntryPayload::Blank }).collect(),
            leader_commit: prev,
        }
    }

    #[test]
    fn an_append_must_be_its_senders_own_and_without_gaps() {
        assert!(append(1, &request(Some(id(4, 7)), &[id(4, 8), id(5, 9)])).is_ok());
        assert!(append(1, &request(None, &[id(1, 0)])).is_ok());
        assert!(append(2, &request(None, &[])).is_err());
        assert!(append(1, &request(Some(id(4, 7)), &[id(4, 9)])).is_err());
        assert!(append(1, &request(Some(id(4, 7)), &[id(4, 8), id(3, 9)])).is_err());
        assert!(append(1, &request(Some(id(4, 7)), &[id(6, 8)])).is_err());
        let end = u64::MAX;
        assert!(append(1, &request(Some(id(4, end - 1)), &[id(4, end)])).is_err());
        assert!(append(1, &request(Some(id(4, end)), &[id(4, end)])).is_err());
        let mut unelected = request(None, &[]);
        unelected.vote = Vote::new(5, 1);
        assert!(append(1, &unelected).is_err());
    }

    #[test]
    fn a_vote_is_asked_for_oneself_and_not_yet_granted() {
        assert!(vote(1, &VoteRequest::new(Vote::new(5, 1), Some(id(4, 2)))).is_ok());
        assert!(vote(1, &VoteRequest::new(Vote::new(5, 2), None)).is_err());
        assert!(vote(1, &VoteRequest::new(Vote::new_committed(5, 1), None)).is_err());
        assert!(vote(1, &VoteRequest::new(Vote::new(5, 1), Some(id(6, 2)))).is_err());
    }
}
