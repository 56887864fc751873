//! The sending side of Raft's transport, one per peer and purpose.
//!
//! Knows: which RPC carries what, and how long it may take. Must not know: why openraft sends it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use serde::Serialize;
use serde::de::DeserializeOwned;
use swarm_proto::v1::RaftPayload;
use swarm_proto::v1::raft_client::RaftClient;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::envelope::{Envelope, decode, pack};
use super::link::Link;
use super::links::{Links, Purpose};
use super::snapshot;
use super::stream::{self, Route};
use crate::api::Member;
use crate::types::{Snapshot, Types, Vote};

/// Makes a [`Peer`] for every member openraft wants to talk to.
pub struct Network {
    me: u64,
    stall: Duration,
    links: Links,
}

impl Network {
    /// `stall`: how long a pipelined append may go without an answer.
    pub fn new(me: u64, stall: Duration, links: Links) -> Self {
        Self { me, stall, links }
    }

    fn peer(&self, target: u64, member: &Member, bulk: Purpose) -> Peer {
        let control = self.links.link(target, member, Purpose::Control);
        let bulk = self.links.link(target, member, bulk);
        Peer { me: self.me, target, stall: self.stall, bulk, control, heartbeat: false }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &Member) -> Peer {
        self.peer(target, node, Purpose::Entries)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Member) -> Peer {
        Peer { heartbeat: true, ..self.peer(target, node, Purpose::Control) }
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Member) -> Peer {
        self.peer(target, node, Purpose::Snapshots)
    }
}

/// Another manager, as openraft talks to it.
pub struct Peer {
    me: u64,
    target: u64,
    stall: Duration,
    bulk: Arc<Link>,
    control: Arc<Link>,
    /// Whether all it appends is a sign of life.
    heartbeat: bool,
}

impl Peer {
    fn envelope<T>(&self, body: T) -> Envelope<T> {
        Envelope::new(self.me, self.target, body)
    }

    /// One question, one answer, over the link for small messages.
    async fn ask<Q, A, F, Fut>(
        &self,
        what: RPCTypes,
        body: Q,
        ttl: Duration,
        call: F,
    ) -> Result<A, RPCError<Types>>
    where
        Q: Serialize,
        A: DeserializeOwned,
        F: FnOnce(RaftClient<Channel>, RaftPayload) -> Fut,
        Fut: Future<Output = Result<Response<RaftPayload>, Status>>,
    {
        let request = pack(&self.envelope(body)).map_err(|e| network_error(&e))?;
        let answer = tokio::time::timeout(ttl, async {
            let client = self.control.client().await.map_err(Status::unavailable)?;
            call(client, request).await
        })
        .await;
        let answer = answer.map_err(|_| {
            self.control.failed(false);
            RPCError::Timeout(Timeout { action: what, id: self.me, target: self.target, timeout: ttl })
        })?;
        match answer.and_then(|answer| decode(&answer.into_inner().payload)) {
            Ok(answer) => {
                self.control.works();
                Ok(answer)
            }
            Err(status) => Err(rpc_error(&self.control, &status)),
        }
    }
}

/// Notes what a failed call says about its link, and how soon openraft may try again.
pub fn rpc_error(link: &Link, status: &Status) -> RPCError<Types> {
    let broken =
        matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Unauthenticated);
    link.failed(broken);
    match status.code() {
        Code::Unavailable | Code::FailedPrecondition | Code::PermissionDenied | Code::Unauthenticated => {
            RPCError::Unreachable(Unreachable::from_string(status.message()))
        }
        _ => network_error(status),
    }
}

fn network_error(status: &Status) -> RPCError<Types> {
    RPCError::Network(NetworkError::from_string(status))
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let ttl = option.soft_ttl();
        let once = futures::stream::iter([request]);
        let answer = tokio::time::timeout(ttl, async {
            self.stream_append(once, option).await?.next().await.transpose()
        });
        match answer.await {
            Ok(Ok(Some(result))) => Ok(result.into()),
            Ok(Ok(None)) => Err(RPCError::Network(NetworkError::from_string("no answer to an append"))),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let (id, target) = (self.me, self.target);
                Err(RPCError::Timeout(Timeout { action: RPCTypes::AppendEntries, id, target, timeout: ttl }))
            }
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let (from, to, heartbeat) = (self.me, self.target, self.heartbeat);
        let requests = input.map(move |body| Envelope { from, to, body, heartbeat });
        let route = Route { bulk: self.bulk.clone(), control: self.control.clone(), stall: self.stall };
        Box::pin(stream::pipeline(route, requests))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let call = |mut client: RaftClient<Channel>, request| async move { client.vote(request).await };
        self.ask(RPCTypes::Vote, request, option.soft_ttl(), call).await
    }

    // Left out, openraft would take every peer's pre-vote for granted.
    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let call = |mut client: RaftClient<Channel>, request| async move { client.pre_vote(request).await };
        self.ask(RPCTypes::Vote, request, option.soft_ttl(), call).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let ttl = snapshot::deadline(snapshot.snapshot.len());
        let send = snapshot::send(&self.bulk, self.envelope(vote), snapshot);
        tokio::select! {
            result = tokio::time::timeout(ttl, send) => match result {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(status)) => Err(rpc_error(&self.bulk, &status).into()),
                Err(_) => {
                    let (id, target) = (self.me, self.target);
                    Err(StreamingError::Timeout(Timeout { action: RPCTypes::InstallSnapshot, id, target, timeout: ttl }))
                }
            },
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let call =
            |mut client: RaftClient<Channel>, request| async move { client.transfer_leader(request).await };
        self.ask(RPCTypes::TransferLeader, request, option.soft_ttl(), call).await
    }
}
