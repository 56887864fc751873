//! The receiving side of Raft's transport.
//!
//! Knows: what may come in, from whom, and how much of it. Must not know: how connections were authenticated.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use parking_lot::Mutex;
use serde::Serialize;
use swarm_proto::v1::{RaftPayload, SnapshotChunk};
use tokio::sync::Semaphore;
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::envelope::{Envelope, pack, receive};
use super::plausible;
use super::snapshot::{SnapshotHeader, collect, next_chunk};
use crate::api::SenderCheck;
use crate::types::{Raft, Snapshot, Types};

/// For openraft to answer one small request; it waits for the disk.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
const INSTALL_DEADLINE: Duration = Duration::from_secs(120);

/// Answers other managers' Raft messages.
pub struct RaftService {
    me: u64,
    raft: Raft,
    check: SenderCheck,
    /// One snapshot at a time: each may take much memory.
    installing: Semaphore,
}

impl RaftService {
    pub(crate) fn new(me: u64, raft: Raft, check: SenderCheck) -> Self {
        Self { me, raft, check, installing: Semaphore::new(1) }
    }

    fn check_sender(&self, connection: &Extensions, from: u64) -> Result<(), Status> {
        let metrics = self.raft.metrics();
        let membership = metrics.borrow_watched().membership_config.clone();
        (self.check)(connection, from, membership.get_node(&from)).map_err(Status::permission_denied)
    }

    fn receive<T: serde::de::DeserializeOwned>(
        &self,
        request: &Request<RaftPayload>,
    ) -> Result<Envelope<T>, Status> {
        let envelope = receive(&request.get_ref().payload, self.me)?;
        self.check_sender(request.extensions(), envelope.from)?;
        Ok(envelope)
    }
}

#[tonic::async_trait]
impl swarm_proto::v1::raft_server::Raft for RaftService {
    type AppendStream = futures::stream::BoxStream<'static, Result<RaftPayload, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<RaftPayload>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let (_, connection, messages) = request.into_parts();
        let (me, check, raft) = (self.me, self.check.clone(), self.raft.clone());
        let who = move |from: u64| {
            let metrics = raft.metrics();
            let membership = metrics.borrow_watched().membership_config.clone();
            check(&connection, from, membership.get_node(&from)).map_err(Status::permission_denied)
        };
        let refusal = Arc::new(Mutex::new(None));
        let requests = accepted(messages, me, who, refusal.clone());
        let answers = self.raft.stream_append(requests).map(|answer| match answer {
            Ok(result) => pack(&result),
            Err(fatal) => Err(stopped(fatal)),
        });
        let last = futures::stream::iter(std::iter::from_fn(move || refusal.lock().take().map(Err)));
        Ok(Response::new(answers.chain(last).boxed()))
    }

    async fn vote(&self, request: Request<RaftPayload>) -> Result<Response<RaftPayload>, Status> {
        let request: Envelope<VoteRequest<Types>> = self.receive(&request)?;
        plausible::vote(request.from, &request.body)?;
        answer(ANSWER_DEADLINE, self.raft.vote(request.body)).await
    }

    async fn pre_vote(&self, request: Request<RaftPayload>) -> Result<Response<RaftPayload>, Status> {
        let request: Envelope<VoteRequest<Types>> = self.receive(&request)?;
        plausible::vote(request.from, &request.body)?;
        answer(ANSWER_DEADLINE, self.raft.pre_vote(request.body)).await
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<RaftPayload>, Status> {
        let (_, connection, mut chunks) = request.into_parts();
        let _turn = self
            .installing
            .try_acquire()
            .map_err(|_| Status::unavailable("another snapshot is just being installed here"))?;
        let first =
            next_chunk(&mut chunks).await?.ok_or_else(|| Status::invalid_argument("an empty snapshot"))?;
        let header: Envelope<SnapshotHeader> = receive(&first.header, self.me)?;
        self.check_sender(&connection, header.from)?;
        let SnapshotHeader { vote, meta, bytes } = header.body;
        plausible::snapshot(header.from, &vote, &meta)?;
        let snapshot = collect(bytes, &mut chunks).await?;
        answer(INSTALL_DEADLINE, self.raft.install_full_snapshot(vote, Snapshot { meta, snapshot })).await
    }

    async fn transfer_leader(&self, request: Request<RaftPayload>) -> Result<Response<RaftPayload>, Status> {
        let request: Envelope<TransferLeaderRequest<Types>> = self.receive(&request)?;
        plausible::own_vote(request.from, request.body.from_leader())?;
        plausible::leads(request.body.from_leader())?;
        answer(ANSWER_DEADLINE, self.raft.handle_transfer_leader(request.body)).await
    }
}

/// The appends of one stream, up to the first that is refused; the reason goes to `refusal`.
fn accepted(
    messages: Streaming<RaftPayload>,
    me: u64,
    who: impl Fn(u64) -> Result<(), Status> + Send + 'static,
    refusal: Arc<Mutex<Option<Status>>>,
) -> impl Stream<Item = AppendEntriesRequest<Types>> + Send + 'static {
    let mut known = None;
    messages
        .map(move |message| {
            let envelope: Envelope<AppendEntriesRequest<Types>> = receive(&message?.payload, me)?;
            // The sender is looked at once per stream: its connection cannot change within it.
            if known != Some(envelope.from) {
                who(envelope.from)?;
                known = Some(envelope.from);
            }
            plausible::append(envelope.from, &envelope.body)?;
            Ok(envelope.body)
        })
        .scan((), move |(), request: Result<_, Status>| {
            let accepted = request.map_err(|status| *refusal.lock() = Some(status)).ok();
            std::future::ready(accepted)
        })
}

async fn answer<T: Serialize, E: std::fmt::Display>(
    deadline: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<Response<RaftPayload>, Status> {
    let result = tokio::time::timeout(deadline, work)
        .await
        .map_err(|_| Status::deadline_exceeded(format!("Raft gave no answer within {deadline:?}")))?;
    pack(&result.map_err(stopped)?).map(Response::new)
}

fn stopped(reason: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("Raft has stopped on this manager: {reason}"))
}
