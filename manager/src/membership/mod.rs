//! Membership and leadership among managers, answered by the leader.
//! Knows: what managers ask each other. Must not know: workers, networks.

mod join;
mod leave;

pub use leave::give_up_role;

use crate::attachments::calling_node;
use crate::authorise::Authorized;
use crate::caller::{Caller, FORWARDED};
use crate::codec::{decode, encode};
use crate::failure::member;
use crate::gate::{Admitted, Door};
use crate::leader::Doubt;
use crate::leadership::{Leader, leader, leader_now};
use crate::method::Method;
use crate::seat::{Seat, request_id};
use std::sync::Arc;
use std::time::Instant;
use swarm_proto::v1;
use swarm_proto::v1::membership_client::MembershipClient;
use swarm_proto::v1::membership_server::Membership;
use swarm_raft::ReadError;
use swarm_state::Command;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub struct MembershipService {
    pub seat: Arc<Seat>,
}

#[tonic::async_trait]
impl Membership for MembershipService {
    async fn join_raft(
        &self,
        request: Request<v1::JoinRaftRequest>,
    ) -> Result<Response<v1::JoinRaftResponse>, Status> {
        let opened = self.seat.audit.open(Door::Tls, Method::JoinRaft, &request);
        let call = async {
            let Admitted { permit, forwarded, .. } =
                self.seat.gate.admit(Door::Tls, Method::JoinRaft, request).await?;
            if let Some(mut leader) = self.elsewhere(forwarded).await? {
                return leader.join_raft(hand_on(permit)?).await;
            }
            let node = calling_node(&permit)?;
            let joiner = join::Joiner::read(node, permit.request())?;
            join::join(&self.seat, &joiner).await?;
            Ok(Response::new(v1::JoinRaftResponse {}))
        };
        opened.close(call).await
    }

    async fn leave_raft(
        &self,
        request: Request<v1::LeaveRaftRequest>,
    ) -> Result<Response<v1::LeaveRaftResponse>, Status> {
        let opened = self.seat.audit.open(Door::Tls, Method::LeaveRaft, &request);
        let here = self.clone();
        let call = async move {
            let Admitted { permit, forwarded, .. } =
                here.seat.gate.admit(Door::Tls, Method::LeaveRaft, request).await?;
            if let Some(mut leader) = here.elsewhere(forwarded).await? {
                return leader.leave_raft(hand_on(permit)?).await;
            }
            leave::leave(&here.seat, calling_node(&permit)?).await?;
            Ok(Response::new(v1::LeaveRaftResponse {}))
        };
        self.seat.to_its_end(opened.close(call)).await
    }

    async fn read_index(
        &self,
        request: Request<v1::ReadIndexRequest>,
    ) -> Result<Response<v1::ReadIndexResponse>, Status> {
        self.seat.gate.admit(Door::Tls, Method::ReadIndex, request).await?;
        match self.seat.raft.read_index().await {
            Ok(index) => Ok(Response::new(v1::ReadIndexResponse { index })),
            Err(e @ ReadError::NotLeader(_)) => Err(Status::aborted(e.to_string())),
            Err(e @ (ReadError::NoQuorum | ReadError::Stopped(_))) => Err(Status::unavailable(e.to_string())),
        }
    }

    async fn heard(&self, request: Request<v1::HeardRequest>) -> Result<Response<v1::HeardResponse>, Status> {
        self.seat.gate.admit(Door::Tls, Method::Heard, request).await?;
        let status = self.seat.raft.status();
        match leader(&status) {
            Leader::Here => {
                let raft_ids = status.heard.into_iter().collect();
                Ok(Response::new(v1::HeardResponse { raft_ids, applied: status.applied }))
            }
            Leader::There(_) | Leader::Nowhere => Err(Status::aborted("this manager is not the leader")),
        }
    }

    async fn weigh(&self, request: Request<v1::WeighRequest>) -> Result<Response<v1::WeighResponse>, Status> {
        let permit = self.seat.gate.admit(Door::Tls, Method::Weigh, request).await?.permit;
        let manager = calling_node(&permit)?;
        let doubt =
            |doubt: &v1::Doubt| Some(Doubt { by: doubt.by.parse().ok()?, of: doubt.of.parse().ok()? });
        let doubts = permit.request().doubts.iter().filter_map(doubt).collect();
        self.seat.doubts.pass_on(manager, doubts, Instant::now());
        Ok(Response::new(v1::WeighResponse {}))
    }

    /// By the records as they are: addresses must be heard of while there is no quorum, or there will be none.
    async fn greet(&self, request: Request<v1::Greeting>) -> Result<Response<v1::Greeting>, Status> {
        let caller = crate::caller::Arrival::of(&request)?.connection;
        self.seat.gate.glance(Method::Greet, &caller).await?;
        let Caller::Node(caller) = caller else {
            return Err(Status::unauthenticated("only managers greet each other"));
        };
        let answer = crate::addresses::greeted(&self.seat, caller.node, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    /// The forwarded caller is judged once more, by the leader's own records, for the method it called.
    async fn propose(
        &self,
        request: Request<v1::ProposeRequest>,
    ) -> Result<Response<v1::ProposeResponse>, Status> {
        let (connection, caller) = callers(&request)?;
        let asked = request.into_inner();
        self.seat.gate.judge(connection, Method::Propose, ()).await?;
        let method = Method::from_name(&asked.method)
            .ok_or_else(|| Status::invalid_argument(format!("the method {:?} is not known", asked.method)))?;
        let command: Command = decode("a change", &asked.command)?;
        let permit = self.seat.gate.judge(caller, method, command).await?;
        let done = self.seat.proposer.lead(&permit, request_id(&asked.request_id)?).await?;
        let reply = encode("a reply", &done.reply)?;
        Ok(Response::new(v1::ProposeResponse { index: done.index, reply }))
    }
}

impl MembershipService {
    /// The leader's client when that is another manager. What was handed on once is not handed on again.
    async fn elsewhere(&self, forwarded: bool) -> Result<Option<MembershipClient<Channel>>, Status> {
        match leader_now(&self.seat.raft) {
            Leader::Here => Ok(None),
            Leader::There(member) if !forwarded => {
                let client = self.seat.links.membership(&member).await;
                client.map(Some).map_err(|e| Status::unavailable(e.to_string()))
            }
            Leader::There(_) | Leader::Nowhere => {
                Err(Status::unavailable("the managers have no leader at this moment: try again shortly"))
            }
        }
    }
}

/// The connection's own identity, and the caller it speaks for (itself, unless it says otherwise).
fn callers<T>(request: &Request<T>) -> Result<(Caller, Caller), Status> {
    let arrival = crate::caller::Arrival::of(request)?;
    let caller = arrival.forwarded.unwrap_or_else(|| arrival.connection.clone());
    Ok((arrival.connection, caller))
}

fn hand_on<R>(permit: Authorized<R>) -> Result<Request<R>, Status> {
    let caller = permit.caller().to_metadata()?;
    let mut request = Request::new(permit.split().1);
    request.metadata_mut().insert(FORWARDED, caller);
    Ok(request)
}

/// Raft's refusal of a change of members, with what was being done.
fn failed(doing: &str, error: &swarm_raft::MemberError) -> Status {
    let status = member(error);
    Status::new(status.code(), format!("{doing}: {}", status.message()))
}
