//! The receiving side of Raft's transport.
//!
//! Knows: what may come in, from whom, and how much of it. Must not know: how connections were authenticated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use openraft::EntryPayload;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use parking_lot::Mutex;
use serde::Serialize;
use swarm_proto::v1::{RaftPayload, SnapshotChunk};
use tokio::sync::{Semaphore, watch};
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::envelope::{Envelope, pack, receive};
use super::snapshot::{SnapshotHeader, collect, next_chunk};
use super::{heartbeat, plausible};
use crate::api::SenderCheck;
use crate::log::LogWatch;
use crate::types::{Entry, Raft, Snapshot, Types};

/// For openraft to answer one small request; it waits for the disk.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
const INSTALL_DEADLINE: Duration = Duration::from_secs(120);

/// What the messages are for.
pub struct Local {
    pub me: u64,
    pub raft: Raft,
    pub log: LogWatch,
    /// Whether the disk under the log counts as full.
    pub full: watch::Receiver<bool>,
}

/// How often the sender of a stream is looked at again: twice within the time in which a leader must be heard of.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Answers other managers' Raft messages.
pub struct RaftService {
    me: u64,
    raft: Raft,
    log: LogWatch,
    full: watch::Receiver<bool>,
    check: SenderCheck,
    /// One snapshot at a time: each may take much memory.
    installing: Semaphore,
}

impl RaftService {
    pub(crate) fn new(local: Local, check: SenderCheck) -> Self {
        let Local { me, raft, log, full } = local;
        Self { me, raft, log, full, check, installing: Semaphore::new(1) }
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
        let (me, check, raft, full) = (self.me, self.check.clone(), self.raft.clone(), self.full.clone());
        let mut known: Option<(u64, Instant)> = None;
        let admit = move |message: &Envelope<AppendEntriesRequest<Types>>| {
            // The connection cannot change within a stream, but what its holder may do can.
            if known.is_none_or(|(from, at)| from != message.from || at.elapsed() >= LOOK_AGAIN) {
                let metrics = raft.metrics();
                let membership = metrics.borrow_watched().membership_config.clone();
                check(&connection, message.from, membership.get_node(&message.from))
                    .map_err(Status::permission_denied)?;
                known = Some((message.from, Instant::now()));
            }
            plausible::append(message.from, &message.body)?;
            plausible::heartbeat(message)?;
            room_for(&message.body, *full.borrow())
        };
        let refusal = Arc::new(Mutex::new(None));
        let last = refusal.clone();
        let last = futures::stream::iter(std::iter::from_fn(move || last.lock().take().map(Err)));
        let mut requests = Box::pin(accepted(messages, me, admit, refusal));
        let (raft, log) = (self.raft.clone(), self.log.clone());
        // One stream carries either signs of life or entries; its first message says which.
        let answers = futures::stream::once(async move {
            match requests.next().await {
                None => futures::stream::empty().boxed(),
                Some(first) if first.heartbeat => heartbeats(raft, log, first, requests).boxed(),
                Some(first) => {
                    let requests = futures::stream::iter([first]).chain(requests).map(|message| message.body);
                    raft.stream_append(requests).map(|answer| pack(&answer.map_err(stopped)?)).boxed()
                }
            }
        });
        Ok(Response::new(answers.flatten().chain(last).boxed()))
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
        if *self.full.borrow() {
            return Err(full_disk());
        }
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

/// Commands wait until there is room for them. A leader's first entry and changes of members are few and small, and let
/// a group whose disks are all full go on with its leader and its reads.
fn room_for(request: &AppendEntriesRequest<Types>, full: bool) -> Result<(), Status> {
    let is_command = |entry: &Entry| matches!(entry.payload, EntryPayload::Normal(_));
    if full && request.entries.iter().any(is_command) { Err(full_disk()) } else { Ok(()) }
}

fn full_disk() -> Status {
    Status::resource_exhausted(
        "the disk under this manager's Raft log is full; it takes no entries until there is space",
    )
}

/// Answers one sign of life after the other.
fn heartbeats(
    raft: Raft,
    log: LogWatch,
    first: Envelope<AppendEntriesRequest<Types>>,
    others: impl Stream<Item = Envelope<AppendEntriesRequest<Types>>> + Send + 'static,
) -> impl Stream<Item = Result<RaftPayload, Status>> + Send + 'static {
    futures::stream::iter([first]).chain(others).then(move |message| {
        let answer = heartbeat::answer(raft.clone(), log.clone(), message.body);
        async move { pack(&answer.await?) }
    })
}

/// The appends of one stream, up to the first that is refused; the reason goes to `refusal`.
fn accepted(
    messages: Streaming<RaftPayload>,
    me: u64,
    mut admit: impl FnMut(&Envelope<AppendEntriesRequest<Types>>) -> Result<(), Status> + Send + 'static,
    refusal: Arc<Mutex<Option<Status>>>,
) -> impl Stream<Item = Envelope<AppendEntriesRequest<Types>>> + Send + 'static {
    messages
        .map(move |message| {
            let envelope: Envelope<AppendEntriesRequest<Types>> = receive(&message?.payload, me)?;
            admit(&envelope)?;
            Ok(envelope)
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

pub fn stopped(reason: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("Raft has stopped on this manager: {reason}"))
}
