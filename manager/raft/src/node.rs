//! The handle a manager holds on Raft. Knows: what can be asked of it. Must not know: what a command means.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::api::{Committed, Dial, Machine, Member, SenderCheck, Status};
use crate::config::RaftConfig;
use crate::error::{MemberError, ProposeError, ReadError, StartError, WaitError};

/// A running Raft node; cheap to clone, all clones are the same node.
#[derive(Clone)]
pub struct RaftNode {
    status: watch::Receiver<Status>,
}

const SOON: &str = "not wired yet";

impl RaftNode {
    /// Opens the store (made if missing), replays what is committed, and starts Raft. An empty node waits to be
    /// added by a leader, or for [`RaftNode::bootstrap`].
    pub async fn start<M: Machine>(
        config: RaftConfig,
        machine: M,
        dial: Arc<dyn Dial>,
    ) -> Result<Self, StartError> {
        let _ = (config, machine, dial);
        Err(StartError::Raft(SOON.to_owned()))
    }

    /// Makes an empty node the only voter of a new group and waits until it leads.
    pub async fn bootstrap(&self, me: Member) -> Result<(), MemberError> {
        let _ = me;
        Err(MemberError::Stopped(SOON.to_owned()))
    }

    /// Commits one command and returns its reply. Tries once; nothing is retried here.
    pub async fn propose(&self, command: Vec<u8>) -> Result<Committed, ProposeError> {
        let _ = command;
        Err(ProposeError::Stopped(SOON.to_owned()))
    }

    /// The index that a linearizable read must wait for (with [`RaftNode::wait_applied`]). Leader only.
    pub async fn read_index(&self) -> Result<u64, ReadError> {
        Err(ReadError::Stopped(SOON.to_owned()))
    }

    /// Waits until this manager has applied `index`.
    pub async fn wait_applied(&self, index: u64, deadline: Duration) -> Result<(), WaitError> {
        let _ = (index, deadline);
        Err(WaitError::Stopped(SOON.to_owned()))
    }

    /// Leader: begins to replicate to `member` under a fresh Raft id and waits until it has nearly caught up.
    pub async fn add_learner(&self, id: u64, member: Member) -> Result<(), MemberError> {
        let _ = (id, member);
        Err(MemberError::Stopped(SOON.to_owned()))
    }

    /// Leader: makes a caught-up learner a voter. A voter is left as it is.
    pub async fn promote(&self, id: u64) -> Result<(), MemberError> {
        let _ = id;
        Err(MemberError::Stopped(SOON.to_owned()))
    }

    /// Leader: takes a voter or learner out of the group. An id that is not in it is fine.
    pub async fn remove(&self, id: u64) -> Result<(), MemberError> {
        let _ = id;
        Err(MemberError::Stopped(SOON.to_owned()))
    }

    /// Leader: hands leadership to a voter and waits until it leads.
    pub async fn transfer_leader(&self, to: u64) -> Result<(), MemberError> {
        let _ = to;
        Err(MemberError::Stopped(SOON.to_owned()))
    }

    /// What this manager knows now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Changes of [`RaftNode::status`], the last value always being available.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The gRPC service other managers call; `check` ties a connection's identity to the Raft id it speaks for.
    pub fn service(&self, check: SenderCheck) -> crate::RaftServer<RaftService> {
        let _ = check;
        crate::RaftServer::new(RaftService {})
    }

    /// Hands leadership over if this node leads several voters, stops Raft and closes the store. Idempotent.
    pub async fn shutdown(&self) {}
}

/// The server side of Raft's transport.
pub struct RaftService {}

type Answer<T> = Result<tonic::Response<T>, tonic::Status>;
use swarm_proto::v1::{RaftPayload, SnapshotChunk};

#[tonic::async_trait]
impl swarm_proto::v1::raft_server::Raft for RaftService {
    type AppendStream = tokio_stream::Empty<Result<RaftPayload, tonic::Status>>;

    async fn append(&self, _: tonic::Request<tonic::Streaming<RaftPayload>>) -> Answer<Self::AppendStream> {
        Err(tonic::Status::unavailable(SOON))
    }
    async fn vote(&self, _: tonic::Request<RaftPayload>) -> Answer<RaftPayload> {
        Err(tonic::Status::unavailable(SOON))
    }
    async fn pre_vote(&self, _: tonic::Request<RaftPayload>) -> Answer<RaftPayload> {
        Err(tonic::Status::unavailable(SOON))
    }
    async fn install_snapshot(
        &self,
        _: tonic::Request<tonic::Streaming<SnapshotChunk>>,
    ) -> Answer<RaftPayload> {
        Err(tonic::Status::unavailable(SOON))
    }
    async fn transfer_leader(&self, _: tonic::Request<RaftPayload>) -> Answer<RaftPayload> {
        Err(tonic::Status::unavailable(SOON))
    }
}
