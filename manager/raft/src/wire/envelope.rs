//! The envelope every Raft message travels in: who it is from, and which Raft id it is meant for.
//!
//! Knows: encoding. Must not know: connections.

use serde::Serialize;
use serde::de::DeserializeOwned;
use swarm_proto::v1::RaftPayload;
use tonic::Status;

/// A request. The receiver refuses one meant for another id: a wiped manager that came back at the same address
/// under a new id has none of the promises its old self made.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct Envelope<T> {
    pub from: u64,
    pub to: u64,
    pub body: T,
    /// An append that asks for nothing but an answer: the sender takes it for a sign of life, and never for proof that
    /// an entry is on disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heartbeat: bool,
}

impl<T> Envelope<T> {
    pub fn new(from: u64, to: u64, body: T) -> Self {
        Self { from, to, body, heartbeat: false }
    }
}

/// Encodes a request or an answer. Field names travel with it, so fields may be added later.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Status> {
    rmp_serde::to_vec_named(message)
        .map_err(|e| Status::internal(format!("a Raft message cannot be encoded: {e}")))
}

pub fn pack<T: Serialize>(message: &T) -> Result<RaftPayload, Status> {
    encode(message).map(|payload| RaftPayload { payload })
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Status> {
    rmp_serde::from_slice(bytes).map_err(|e| {
        Status::invalid_argument(format!("a Raft message cannot be decoded by this version: {e}"))
    })
}

/// Decodes a request and checks that it is meant for `me` and comes from somebody else.
pub fn receive<T: DeserializeOwned>(bytes: &[u8], me: u64) -> Result<Envelope<T>, Status> {
    let envelope: Envelope<T> = decode(bytes)?;
    if envelope.to != me {
        return Err(Status::failed_precondition(format!(
            "this Raft message is meant for Raft id {}, and this manager is {me}; it may have been wiped and joined anew",
            envelope.to
        )));
    }
    if envelope.from == me {
        return Err(Status::permission_denied(format!(
            "a Raft message claims to come from this very manager, {me}"
        )));
    }
    Ok(envelope)
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;
    use openraft::raft::{AppendEntriesRequest, VoteRequest};
    use openraft::vote::RaftLeaderId;
    use proptest::prelude::*;

    use super::*;
    use crate::types::{Command, Entry, LogId, Types, Vote};

    #[test]
    fn an_append_survives_the_trip_and_costs_little() {
        let leader = openraft::alias::LeaderIdOf::<Types>::new(3, 11);
        let entry = Entry {
            log_id: LogId::new(leader.to_committed(), 8),
            payload: EntryPayload::Normal(Command(vec![1; 1000].into())),
        };
        let body = AppendEntriesRequest::<Types> {
            vote: Vote::new_committed(3, 11),
            prev_log_id: None,
            entries: vec![entry.clone()],
            leader_commit: None,
        };
        let bytes = encode(&Envelope::new(11, 12, body)).unwrap();
        assert!(bytes.len() < 1250, "{} bytes", bytes.len());
        let back: Envelope<AppendEntriesRequest<Types>> = receive(&bytes, 12).unwrap();
        assert_eq!(back.body.entries, vec![entry]);
    }

    #[test]
    fn a_message_for_another_id_or_from_oneself_is_refused() {
        let body = VoteRequest::<Types>::new(Vote::new(4, 1), None);
        let bytes = encode(&Envelope::new(1, 2, body.clone())).unwrap();
        assert!(receive::<VoteRequest<Types>>(&bytes, 2).is_ok());
        let wrong = receive::<VoteRequest<Types>>(&bytes, 3).unwrap_err();
        assert_eq!(wrong.code(), tonic::Code::FailedPrecondition);
        let bytes = encode(&Envelope::new(2, 2, body)).unwrap();
        assert_eq!(
            receive::<VoteRequest<Types>>(&bytes, 2).unwrap_err().code(),
            tonic::Code::PermissionDenied
        );
    }

    #[test]
    fn a_heartbeat_says_so_and_one_from_an_earlier_version_is_an_append() {
        let body = VoteRequest::<Types>::new(Vote::new(4, 1), None);
        let heartbeat = Envelope { heartbeat: true, ..Envelope::new(1, 2, body.clone()) };
        let back: Envelope<VoteRequest<Types>> = receive(&encode(&heartbeat).unwrap(), 2).unwrap();
        assert!(back.heartbeat);
        let plain = encode(&Envelope::new(1, 2, body)).unwrap();
        assert!(!plain.windows(9).any(|word| word == b"heartbeat"));
        assert!(!receive::<VoteRequest<Types>>(&plain, 2).unwrap().heartbeat);
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(bytes: Vec<u8>) {
            let _ = receive::<AppendEntriesRequest<Types>>(&bytes, 1);
            let _ = receive::<VoteRequest<Types>>(&bytes, 1);
        }
    }
}
