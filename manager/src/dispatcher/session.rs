//! One worker's session while it lives: what comes in, what goes out, how it ends.
//! Knows: heartbeats, the order of messages. Must not know: how assignments are derived, who else is served.

use super::hub::{Ended, Outbox};
use super::incarnation::Told;
use super::pairs;
use super::queue::Next;
use super::registration::{Registration, Verdict, judge};
use super::trouble::Trouble;
use super::write_registration;
use crate::authorise::Authorized;
use crate::leader::advanced_by;
use crate::propose::now_ms;
use crate::seat::Seat;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::CaDigest;
use swarm_model::{Assignment, MOST_DOUBTS, NodeState, SessionId};
use swarm_proto::v1::manager_message::Message;
use swarm_proto::v1::{self, worker_message};
use swarm_state::{Command, NoteIncarnation};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tonic::{Status, Streaming};

/// Heartbeats that may be missed before the node counts as lost.
const MISSED: u32 = 3;

type Out = mpsc::Sender<Result<v1::ManagerMessage, Status>>;

pub struct Live {
    seat: Arc<Seat>,
    permit: Authorized<()>,
    registration: Registration,
    heartbeat: Duration,
    outbox: Arc<Outbox>,
    out: Out,
    /// Saying again that the node is here, when somebody said otherwise.
    registering: Option<JoinHandle<()>>,
    /// The root whose certificate the node says it uses.
    trusted: Option<CaDigest>,
    noting: Option<JoinHandle<()>>,
    trouble: Trouble,
    told: Told,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// The stream is gone: the worker, its host or the path.
    Closed,
    Silent,
    /// By the hub.
    Ended(Ended),
    Gone,
}

impl End {
    fn status(&self) -> Option<Status> {
        match self {
            Self::Closed => None,
            Self::Silent => Some(Status::deadline_exceeded("no heartbeat came in time: open a new session")),
            Self::Ended(why @ Ended::Replaced) => Some(Status::aborted(why.sentence())),
            Self::Ended(why) => Some(Status::unavailable(why.sentence())),
            Self::Gone => {
                Some(Status::permission_denied("the node has left the cluster or was removed from it"))
            }
        }
    }

    /// What the record is to say of the node, unless it has come back by then.
    fn loss(&self) -> Option<&'static str> {
        match self {
            Self::Closed => Some("its session ended"),
            Self::Silent => Some("it missed its heartbeats"),
            Self::Ended(_) | Self::Gone => None,
        }
    }
}

impl Live {
    /// Opens the queue and sends the welcome and the whole.
    pub fn begin(
        (seat, permit): (Arc<Seat>, Authorized<()>),
        registration: Registration,
        (session, heartbeat): (SessionId, Duration),
        out: Out,
    ) -> Result<Self, Status> {
        let (whole, outbox) = seat.applied.open_session(registration.node, session);
        let heartbeat_ms = u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX);
        let manager = seat.me().node.to_string();
        let welcome = v1::Welcome { session: session.to_string(), heartbeat_ms, manager, now_ms: now_ms() };
        let live = Self {
            seat,
            permit,
            registration,
            heartbeat,
            outbox,
            out,
            registering: None,
            trusted: None,
            noting: None,
            trouble: Trouble::default(),
            told: Told::default(),
        };
        live.send_now(v1::ManagerMessage { message: Some(Message::Welcome(welcome)) })?;
        live.send_now(live.complete(Assignment::Complete(whole)))?;
        Ok(live)
    }

    fn complete(&self, mut assignment: Assignment) -> v1::ManagerMessage {
        let ring = self.seat.applied.read(|state| state.cluster().map(|cluster| cluster.ring.clone()));
        pairs::complete(&mut assignment, self.registration.node, &ring.unwrap_or_default());
        (&assignment).into()
    }

    fn send_now(&self, message: v1::ManagerMessage) -> Result<(), Status> {
        self.out.try_send(Ok(message)).map_err(|_| Status::aborted("the session's stream is gone already"))
    }

    /// Serves until the session ends, then says so to both sides.
    pub async fn run(mut self, inbound: Streaming<v1::WorkerMessage>) {
        let end = self.serve(inbound).await;
        let current = self.seat.applied.hub().close(self.registration.node, &self.outbox);
        if current {
            self.seat.doubts.forget(self.registration.node);
        }
        tracing::debug!(node = %self.registration.node, ?end, "session ended");
        if let Some(status) = end.status() {
            // A full or closed stream loses only the reason.
            let _ = self.out.try_send(Err(status));
        }
        if let Some(message) = end.loss().filter(|_| current) {
            self.report_loss(message).await;
        }
    }

    async fn serve(&mut self, mut inbound: Streaming<v1::WorkerMessage>) -> End {
        let patience = self.heartbeat * MISSED;
        let mut silent = Instant::now() + patience;
        let outbox = self.outbox.clone();
        let out = self.out.clone();
        let mut waiting = false;
        loop {
            tokio::select! {
                message = inbound.message() => match message {
                    Ok(Some(message)) => {
                        silent = Instant::now() + patience;
                        self.hear(&message);
                    }
                    Ok(None) | Err(_) => return End::Closed,
                },
                () = sleep_until(silent) => return End::Silent,
                ended = outbox.ended() => return End::Ended(ended),
                () = outbox.node_changed() => match self.verdict() {
                    Verdict::GoOn => {}
                    Verdict::RegisterAgain => self.register_again(),
                    Verdict::Superseded => return End::Ended(Ended::Replaced),
                    Verdict::Gone => return End::Gone,
                },
                () = outbox.news(), if !waiting => waiting = true,
                room = out.reserve(), if waiting => match (room, self.next()) {
                    (Err(_), _) => return End::Closed,
                    (Ok(room), Some(message)) => room.send(Ok(message)),
                    (Ok(_), None) => waiting = false,
                },
            }
        }
    }

    fn hear(&mut self, message: &v1::WorkerMessage) {
        match &message.message {
            Some(worker_message::Message::Heartbeat(_)) => {
                // A stream too full for it has news enough to show that this manager lives.
                let beat = Message::Heartbeat(v1::Heartbeat {});
                let _ = self.send_now(v1::ManagerMessage { message: Some(beat) });
                if self.verdict() == Verdict::RegisterAgain {
                    self.register_again();
                }
                self.note_renewed();
                self.note_trouble();
                self.note_incarnation();
            }
            Some(worker_message::Message::Incarnation(told)) => {
                if let Ok(drawn) = swarm_proto::incarnation(&told.drawn) {
                    self.told.hear(drawn);
                    self.note_incarnation();
                }
            }
            Some(worker_message::Message::Trouble(trouble)) => {
                self.trouble.hear(&trouble.sentence);
                self.note_trouble();
            }
            Some(worker_message::Message::Doubts(doubts)) => {
                let of = doubts.nodes.iter().take(MOST_DOUBTS).filter_map(|node| node.parse().ok());
                self.seat.doubts.hear(self.registration.node, of.collect());
            }
            Some(worker_message::Message::Trust(trust)) => {
                self.trusted = trust.root_digest.as_slice().try_into().ok().map(CaDigest::from_bytes);
                self.note_renewed();
            }
            Some(_) | None => {}
        }
    }

    /// Beside the session, as above. With each heartbeat until it stands in the record.
    fn note_renewed(&mut self) {
        let Some(trusted) = self.trusted else { return };
        if self.noting.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let node = self.registration.node;
        let is_new_root = |pem: &str| CaDigest::of_pem(pem) == Some(trusted);
        let advanced = self.seat.applied.read(|state| advanced_by(state, node, is_new_root));
        let Some(rotation) = advanced else { return };
        let seat = self.seat.clone();
        self.noting = Some(self.seat.tasks.spawn(async move {
            if let Err(e) = seat.propose_own(Command::NoteRenewed { node, rotation }).await {
                tracing::debug!(%node, reason = %e, "that a node has renewed was not recorded yet");
            }
        }));
    }

    /// Beside the session, as above.
    fn note_trouble(&mut self) {
        let (node, session) = (self.registration.node, self.outbox.session);
        let due = self.seat.applied.read(|state| self.trouble.due(state.node(&node), Instant::now()));
        let Some(message) = due else { return };
        let seat = self.seat.clone();
        let noted = self.seat.tasks.spawn(async move {
            let (state, session) = (NodeState::Ready, Some(session));
            let command = Command::SetNodeStatus { node, state, message, session };
            if let Err(e) = seat.propose_own(command).await {
                tracing::debug!(%node, reason = %e, "what a node says of its trouble was not recorded yet");
            }
        });
        self.trouble.noting(noted, Instant::now());
    }

    /// Beside the session, as above.
    fn note_incarnation(&mut self) {
        let (node, session) = (self.registration.node, self.outbox.session);
        let due = self.seat.applied.read(|state| self.told.due(state.node(&node), Instant::now()));
        let Some(incarnation) = due else { return };
        let seat = self.seat.clone();
        let noted = self.seat.tasks.spawn(async move {
            let command = Command::NoteIncarnation(NoteIncarnation { node, session, incarnation });
            if let Err(e) = seat.propose_own(command).await {
                tracing::debug!(%node, reason = %e, "what a node makes its keys with was not recorded yet");
            }
        });
        self.told.noting(noted, Instant::now());
    }

    fn next(&self) -> Option<v1::ManagerMessage> {
        match self.outbox.take() {
            Next::Nothing => None,
            Next::Incremental(assignment) => {
                Some(self.complete(readable(*assignment, self.registration.features)))
            }
            Next::StartOver => {
                let whole = self.seat.applied.start_over(self.registration.node, &self.outbox);
                Some(self.complete(Assignment::Complete(whole)))
            }
        }
    }

    fn verdict(&self) -> Verdict {
        let node = self.registration.node;
        let own = (self.outbox.session, self.registration.features);
        self.seat.applied.read(|state| judge(state.node(&node), state.session(&node), own))
    }

    /// Beside the session, which must not wait for a leader. The next heartbeat tries again if it fails.
    fn register_again(&mut self) {
        if self.registering.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (seat, permit) = (self.seat.clone(), self.permit.clone());
        let (registration, session) = (self.registration.clone(), self.outbox.session);
        self.registering = Some(self.seat.tasks.spawn(async move {
            if let Err(status) = write_registration(&seat, &permit, &registration, session).await {
                tracing::warn!(node = %registration.node, reason = status.message(), "not registered again yet");
            }
        }));
    }

    /// The record is left alone if it names a newer session. Should nobody take this report now, the sweep makes it later.
    async fn report_loss(&self, message: &str) {
        let node = self.registration.node;
        // One that came back at once may go on under the same session id.
        if self.verdict() != Verdict::GoOn || self.seat.applied.hub().holds(node) {
            return;
        }
        let session = Some(self.outbox.session);
        let message = message.to_owned();
        let command = Command::SetNodeStatus { node, state: NodeState::Unknown, message, session };
        if let Err(e) = self.seat.propose_own(command).await {
            tracing::debug!(%node, reason = %e, "the loss of a node was not recorded yet");
        }
    }
}

/// A node of an earlier level takes no change it does not know: its session would begin again and again.
fn readable(assignment: Assignment, features: u32) -> Assignment {
    match assignment {
        Assignment::Incremental { applies_to, results_in, mut changes } => {
            changes.retain(|change| change.since() <= features.max(1));
            Assignment::Incremental { applies_to, results_in, changes }
        }
        whole @ Assignment::Complete(_) => whole,
    }
}
