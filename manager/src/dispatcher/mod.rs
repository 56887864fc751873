//! Worker sessions, served from this manager's own applied state.
//! Knows: how a session begins and ends. Must not know: how assignments are derived (that is `core/state`).

mod farewell;
pub mod hub;
mod incarnation;
mod pairs;
mod queue;
mod registration;
mod session;
mod trouble;
mod turnstile;

use crate::attachments::calling_node;
use crate::authorise::Authorized;
use crate::gate::{Admitted, Door};
use crate::method::Method;
use crate::seat::Seat;
use parking_lot::Mutex;
use registration::Registration;
use session::Live;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_identity::random;
use swarm_model::{ClusterSettings, SessionId};
use swarm_proto::v1;
use swarm_proto::v1::dispatcher_server::Dispatcher;
use swarm_proto::v1::worker_message::Message;
use swarm_state::{Command, MAX_RELEASES_PER_COMMAND};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use turnstile::Turnstile;

/// A worker says who it is within this time of opening its stream.
const REGISTER_DEADLINE: Duration = Duration::from_secs(5);
/// Messages on their way to one worker. Changes beyond these wait in its `Queue`.
const MESSAGES_IN_FLIGHT: usize = 8;

#[derive(Clone)]
pub struct DispatcherService {
    seat: Arc<Seat>,
    turnstile: Arc<Mutex<Turnstile>>,
}

#[tonic::async_trait]
impl Dispatcher for DispatcherService {
    type SessionStream = ReceiverStream<Result<v1::ManagerMessage, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let Admitted { permit, addr, .. } = self.seat.gate.admit(Door::Tls, Method::Session, request).await?;
        let (permit, mut inbound) = permit.split();
        if let Some(why) = self.seat.applied.hub().refuses() {
            return Err(Status::unavailable(why.sentence()));
        }
        let given = first_message(&mut inbound).await?;
        let connection = addr.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let registration = Registration::read(calling_node(&permit)?, connection, given)?;
        let node = registration.node;
        let changed = self.seat.applied.read(|state| state.node(&node).map_or(0, |node| node.revision));
        let passed = self.turnstile.lock().pass((node, changed), Instant::now());
        passed.map_err(|e| Status::unavailable(e.to_string()))?;
        let session = register(&self.seat, &permit, &registration).await?;
        release_surplus(&self.seat, &permit, &registration).await?;
        let (out, messages) = mpsc::channel(MESSAGES_IN_FLIGHT);
        let heartbeat = self.heartbeat();
        let live = Live::begin((self.seat.clone(), permit), registration, (session, heartbeat), out)?;
        self.seat.tasks.spawn(live.run(inbound));
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn leave(
        &self,
        request: Request<v1::LeaveClusterRequest>,
    ) -> Result<Response<v1::LeaveClusterResponse>, Status> {
        let opened = self.seat.audit.open(Door::Tls, Method::Leave, &request);
        let seat = self.seat.clone();
        let call = async move {
            let permit = seat.gate.admit(Door::Tls, Method::Leave, request).await?.permit;
            farewell::take(&seat, permit).await.map(Response::new)
        };
        self.seat.to_its_end(opened.close(call)).await
    }
}

impl DispatcherService {
    pub fn new(seat: Arc<Seat>) -> Self {
        Self { seat, turnstile: Arc::default() }
    }

    fn heartbeat(&self) -> Duration {
        let setting = self.seat.applied.read(|state| state.cluster().map(|c| c.settings.heartbeat_ms));
        Duration::from_millis(setting.unwrap_or(ClusterSettings::DEFAULT_HEARTBEAT_MS))
    }
}

async fn first_message(inbound: &mut Streaming<v1::WorkerMessage>) -> Result<v1::Register, Status> {
    let expected = || Status::invalid_argument("a session begins with Register");
    let first = timeout(REGISTER_DEADLINE, inbound.message()).await.map_err(|_| expected())??;
    match first.and_then(|message| message.message) {
        Some(Message::Register(register)) => Ok(register),
        Some(
            Message::Heartbeat(_)
            | Message::Programmed(_)
            | Message::Trust(_)
            | Message::Trouble(_)
            | Message::Doubts(_)
            | Message::Incarnation(_),
        )
        | None => Err(expected()),
    }
}

/// Makes the record say that the node is here. Writes only when it does not say so yet.
async fn register(
    seat: &Seat,
    permit: &Authorized<()>,
    registration: &Registration,
) -> Result<SessionId, Status> {
    seat.linearizer.barrier().await?;
    let (node, me) = (registration.node, seat.me().node);
    if let Some(reason) = registration.lives_elsewhere(&crate::recovery::lineage(seat)) {
        return Err(Status::failed_precondition(reason));
    }
    refuse_copy(seat, registration)?;
    let known = seat.applied.read(|state| {
        let record = state.node(&node)?;
        registration.on_record(record, state.session(&node), me)
    });
    if let Some(session) = known {
        return Ok(session);
    }
    check_claim(seat, registration)?;
    let session = random::new_id();
    write_registration(seat, permit, registration, session).await?;
    warn_of_twin(seat, registration);
    Ok(session)
}

fn check_claim(seat: &Seat, registration: &Registration) -> Result<(), Status> {
    let judged =
        seat.applied.read(|state| registration.claim().check(state.node(&registration.node), state.nodes()));
    judged.map_err(Status::failed_precondition)
}

/// Two under one name would throw each other out for ever.
fn refuse_copy(seat: &Seat, registration: &Registration) -> Result<(), Status> {
    let here = (seat.me().node, seat.applied.hub().holds(registration.node));
    let copy = seat.applied.read(|state| {
        let record = state.node(&registration.node)?;
        let is_copy = registration.is_copy(record, state.session(&registration.node), here);
        is_copy.then_some(record.addr)
    });
    match copy {
        None => Ok(()),
        Some(addr) => Err(Status::already_exists(format!(
            "node {} is here already, from {addr}: if that is not this host a moment ago, one of them runs on a copy of \
             the other's files, and must `leave --force` before it joins as a node of its own",
            registration.node
        ))),
    }
}

/// No refusal: the earlier self of a host that joins anew, or of one whose address was given to another, is on record as
/// present for a moment, and the record cannot tell whose the address is.
fn warn_of_twin(seat: &Seat, registration: &Registration) {
    let twin = seat.applied.read(|state| registration.twin(state.nodes()).map(|node| node.hostname.clone()));
    if let Some(twin) = twin {
        tracing::warn!(
            "nodes {} and {twin} advertise the same data-path address {}: give each its own with --data-path-addr",
            registration.hostname,
            registration.data_path_addr
        );
    }
}

async fn write_registration(
    seat: &Seat,
    permit: &Authorized<()>,
    registration: &Registration,
    session: SessionId,
) -> Result<(), Status> {
    let entry = registration.entry(session, seat.me().node);
    let command = permit.clone().map(|()| Command::RegisterNode(entry));
    let done = seat.proposer.propose(command, random::new_id()).await?;
    Ok(seat.linearizer.applied_here(done.index).await?)
}

/// Releases what a worker that died before it could use it has left behind. The records here hold everything this
/// worker was ever told (`register` has waited for that).
async fn release_surplus(
    seat: &Seat,
    permit: &Authorized<()>,
    registration: &Registration,
) -> Result<(), Status> {
    let node = registration.node;
    let Registration { held, listed_at, .. } = registration;
    let surplus = seat.applied.read(|state| state.endpoints_not_held(&node, held, *listed_at));
    for endpoints in surplus.chunks(MAX_RELEASES_PER_COMMAND) {
        tracing::info!(%node, count = endpoints.len(), "releasing endpoints that the node does not hold");
        let endpoints = endpoints.to_vec();
        let command = permit.clone().map(|()| Command::ReleaseEndpoints { node, endpoints });
        seat.proposer.propose(command, random::new_id()).await?;
    }
    Ok(())
}
