//! One session after the other, from the first address to the last word. Knows: the order of messages and their
//! deadlines. Must not know: what an assignment means.

use super::managers::{Current, Managers};
use super::pace::Pace;
use super::round::Round;
use super::troubles::{Trouble, Weight};
use crate::WorkerConfig;
use crate::assignment::{Assignments, Expected};
use crate::config::Here;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_model::{Assigned, Assignment, EndpointId, Incarnation, MOST_DOUBTS, NodeId, Revision};
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_proto::v1::{self, manager_message::Message, worker_message};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

/// Time for a manager to answer the first message.
const WELCOME_DEADLINE: Duration = Duration::from_secs(5);
/// A manager that is silent for this many heartbeats is taken for gone.
const SILENT_BEATS: u32 = 3;
/// Messages that may wait for a slow connection. More than one of each kind never makes sense.
const OUTGOING: usize = 8;
/// A whole assignment of the largest cluster (100,000 endpoints of about 250 bytes) fits.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// So long an older assignment than the one held is refused: a manager that lags catches up or another one answers.
/// After that the cluster is taken to have been put back to an earlier state.
const BEHIND: Duration = Duration::from_secs(10);

/// What a session tells a manager about this node.
pub(crate) struct Registration {
    pub(crate) config: Arc<WorkerConfig>,
    /// Where this node is found; a change is told in a new session.
    pub(crate) here: watch::Receiver<Here>,
    /// The endpoints held, read anew for each session.
    pub(crate) held: Box<dyn Fn() -> Vec<EndpointId> + Send + Sync>,
    /// The revision the kernel matches.
    pub(crate) programmed: watch::Receiver<Revision>,
    /// The root whose certificate this node uses.
    pub(crate) trusted: watch::Receiver<Option<[u8; 32]>>,
    /// What an operator should know of this node; empty: nothing.
    pub(crate) trouble: watch::Receiver<String>,
    /// Nodes that gossip asked from here, in vain.
    pub(crate) unanswered: watch::Receiver<BTreeSet<NodeId>>,
    /// What this node's keys are made with; `None`: it needs none.
    pub(crate) incarnation: watch::Receiver<Option<Incarnation>>,
}

/// Holds sessions, one at a time, until stopped.
pub(crate) async fn follow(
    managers: Arc<Managers>,
    assignments: Arc<Assignments>,
    registration: Registration,
    stop: CancellationToken,
) {
    let (mut pace, mut behind, mut round) = (Pace::default(), None, Round::default());
    let mut calls = Calls::new(&managers, &registration, assignments.watch_expected());
    loop {
        calls.own.mark_unchanged();
        let addr = round.next(&managers.candidates());
        let elsewhere = *calls.own.borrow() != addr;
        let mut session = Session {
            managers: &managers,
            assignments: &assignments,
            registration: &registration,
            behind: &mut behind,
            pace: &mut pace,
        };
        let why = tokio::select! {
            ended = session.hold(addr.as_deref()) => ended,
            call = calls.next(elsewhere) => {
                call.turn(&managers, &mut round);
                managers.lost(call.why().into());
                continue;
            }
            () = stop.cancelled() => return managers.lost("the worker is stopping".into()),
        };
        tracing::info!("no session: {}", why.said);
        match &addr {
            Some(addr) => managers.failed(addr, why),
            None => managers.lost(why.said),
        }
        round.had(addr.as_deref().unwrap_or_default(), pace.has_worked());
        let wait = pace.failed(u32::from_ne_bytes(swarm_identity::random::bytes()));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            call = calls.next(true) => call.turn(&managers, &mut round),
            () = stop.cancelled() => return,
        }
    }
}

/// What ends a session, or the pause before one, ahead of time.
#[derive(Clone, Copy)]
enum Call {
    OwnManager,
    Moved,
    Named,
    Epoch,
}

impl Call {
    /// Whom to begin with.
    fn turn(self, managers: &Managers, round: &mut Round) {
        match self {
            // This node's own manager is the first candidate.
            Self::OwnManager => round.begin_with(Vec::new()),
            // Whoever had the session is told, or found to be of the past.
            Self::Moved | Self::Epoch => {}
            Self::Named => round.begin_with(managers.called()),
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::OwnManager => "moving to this node's own manager",
            Self::Moved => "this node's address has changed",
            Self::Named => "an operator has named managers to go to",
            Self::Epoch => "the cluster is at another epoch",
        }
    }
}

struct Calls {
    own: watch::Receiver<Option<String>>,
    here: watch::Receiver<Here>,
    named: watch::Receiver<Vec<String>>,
    epoch: watch::Receiver<Option<Expected>>,
}

impl Calls {
    fn new(
        managers: &Managers,
        registration: &Registration,
        epoch: watch::Receiver<Option<Expected>>,
    ) -> Self {
        let (own, named) = (managers.watch_own(), managers.watch_called());
        Self { own, here: registration.here.clone(), named, epoch }
    }

    /// `own_too`: whether the own manager is not the one in use already.
    async fn next(&mut self, own_too: bool) -> Call {
        tokio::select! {
            Ok(()) = self.own.changed(), if own_too => Call::OwnManager,
            Ok(()) = self.here.changed() => Call::Moved,
            Ok(()) = self.named.changed() => Call::Named,
            Ok(()) = self.epoch.changed() => Call::Epoch,
            else => std::future::pending().await,
        }
    }
}

struct Session<'a> {
    managers: &'a Managers,
    assignments: &'a Assignments,
    registration: &'a Registration,
    behind: &'a mut Option<Instant>,
    pace: &'a mut Pace,
}

/// Why a session ended.
type Ended = Trouble;

fn ended(weight: Weight, said: impl Into<String>) -> Ended {
    Trouble { weight, said: said.into() }
}

/// A manager's answer, or what this side of the connection made of its silence.
fn answered(status: &tonic::Status) -> Ended {
    use tonic::Code::{Aborted, Cancelled, DeadlineExceeded, ResourceExhausted, Unavailable, Unknown};
    let weight = match status.code() {
        _ if std::error::Error::source(status).is_some() => Weight::Unreachable,
        Unavailable | DeadlineExceeded | Aborted | Cancelled | Unknown | ResourceExhausted => Weight::NotNow,
        _ => Weight::Refused,
    };
    ended(weight, status.message())
}

impl Session<'_> {
    async fn hold(&mut self, addr: Option<&str>) -> Ended {
        let Some(addr) = addr else {
            return ended(Weight::Unreachable, "no manager's address is known");
        };
        let Trouble { weight, said } = match self.open(addr).await {
            Ok(open) => self.listen(open).await,
            Err(why) => why,
        };
        ended(weight, format!("manager {addr}: {said}"))
    }

    async fn open(&mut self, addr: &str) -> Result<Open, Ended> {
        let channel = self.managers.dial(addr).await.map_err(|why| ended(Weight::Unreachable, why))?;
        let (outgoing, queued) = mpsc::channel(OUTGOING);
        let mut programmed = self.registration.programmed.clone();
        programmed.mark_changed();
        let mut trusted = self.registration.trusted.clone();
        trusted.mark_changed();
        // Also that there is none: the record may still tell of what is over.
        let mut trouble = self.registration.trouble.clone();
        trouble.mark_changed();
        let mut unanswered = self.registration.unanswered.clone();
        unanswered.mark_changed();
        let mut incarnation = self.registration.incarnation.clone();
        incarnation.mark_changed();
        outgoing.try_send(self.register()).map_err(|e| ended(Weight::NotNow, e.to_string()))?;
        let mut client = DispatcherClient::new(channel.clone()).max_decoding_message_size(MOST_BYTES);
        let opening = async {
            let mut incoming = client.session(ReceiverStream::new(queued)).await?.into_inner();
            let first = incoming.message().await?;
            Ok::<_, tonic::Status>((incoming, first))
        };
        let opened = tokio::time::timeout(WELCOME_DEADLINE, opening).await;
        let (incoming, first) = opened
            .map_err(|_| {
                let late = format!("did not answer within {} s", WELCOME_DEADLINE.as_secs());
                ended(Weight::Unreachable, late)
            })?
            .map_err(|status| answered(&status))?;
        let Some(Message::Welcome(welcome)) = first.and_then(|m| m.message) else {
            return Err(ended(Weight::NotNow, "did not begin with a welcome"));
        };
        self.managers.set_last_session(welcome.session.clone());
        if let Some(ahead) = clock_ahead_ms(welcome.now_ms) {
            self.managers.measured(ahead);
        }
        let node = welcome.manager.parse().ok();
        self.managers.opened(Current { addr: addr.to_owned(), node, channel });
        tracing::info!("session {} with manager {addr}", welcome.session);
        let beat = Duration::from_millis(welcome.heartbeat_ms.clamp(100, 60_000));
        Ok(Open { outgoing, incoming, programmed, trusted, trouble, unanswered, incarnation, beat })
    }

    fn register(&self) -> v1::WorkerMessage {
        let config = &self.registration.config;
        let here = *self.registration.here.borrow();
        // Before the list: what is assigned at this revision was on the list before it was asked for.
        let revision = self.assignments.revision().unwrap_or_default();
        let lineage = self.assignments.lineage();
        say(worker_message::Message::Register(v1::Register {
            hostname: config.hostname.clone(),
            addr: here.addr.to_string(),
            data_path_addr: here.data_path_addr.to_string(),
            version: config.version.clone(),
            features: config.features,
            held: (self.registration.held)().iter().map(ToString::to_string).collect(),
            revision,
            last_session: Some(self.managers.last_session()),
            epoch: lineage.epoch.as_u64(),
            past: swarm_proto::past(&lineage),
        }))
    }

    /// Hears and speaks until something is wrong.
    async fn listen(&mut self, mut open: Open) -> Ended {
        let mut beats = tokio::time::interval(open.beat);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut heard = tokio::time::Instant::now();
        loop {
            let silent = heard + open.beat * SILENT_BEATS;
            let said = tokio::select! {
                message = open.incoming.message() => {
                    heard = tokio::time::Instant::now();
                    match message {
                        Ok(Some(message)) => self.hear(message),
                        Ok(None) => Err(ended(Weight::NotNow, "ended the session")),
                        Err(status) => Err(answered(&status)),
                    }
                }
                _ = beats.tick() => open.say(worker_message::Message::Heartbeat(v1::Heartbeat {})),
                Ok(()) = open.programmed.changed() => open.acknowledge(),
                Ok(()) = open.trusted.changed() => open.tell_trust(),
                Ok(()) = open.trouble.changed() => open.tell_trouble(),
                Ok(()) = open.unanswered.changed() => open.tell_doubts(),
                Ok(()) = open.incarnation.changed() => open.tell_incarnation(),
                () = tokio::time::sleep_until(silent) => {
                    Err(ended(Weight::Unreachable, format!("silent for {SILENT_BEATS} heartbeats")))
                }
            };
            if let Err(why) = said {
                return why;
            }
        }
    }

    fn hear(&mut self, message: v1::ManagerMessage) -> Result<(), Ended> {
        let assignment = match message.message {
            Some(Message::Complete(whole)) => Assignment::try_from(whole),
            Some(Message::Incremental(step)) => Assignment::try_from(step),
            // Unknown kinds of messages come from newer managers and are passed over.
            Some(Message::Heartbeat(_) | Message::Welcome(_)) | None => return Ok(()),
        };
        let unreadable = |e| ended(Weight::NotNow, format!("sent an assignment that cannot be read: {e}"));
        let assignment = assignment.map_err(unreadable)?;
        if let Assignment::Complete(whole) = &assignment {
            self.not_behind(whole)?;
        }
        self.assignments.take(assignment).map_err(|gap| ended(Weight::NotNow, gap.to_string()))?;
        // Only a session that brought something counts as one that worked: otherwise the next manager gets its turn.
        self.pace.worked();
        Ok(())
    }

    /// Refuses, for a while, what is older than what is held: endpoints made a moment ago would be taken down.
    fn not_behind(&mut self, whole: &Assigned) -> Result<(), Ended> {
        let theirs = &whole.defaults.lineage;
        if let Some(reason) = self.assignments.lineage().refusal(theirs) {
            return Err(ended(Weight::Refused, reason));
        }
        let held_epoch = self.assignments.read(|held| held.defaults.lineage.epoch);
        let (revision, epoch) = (whole.revision, theirs.epoch);
        match self.assignments.revision() {
            // A cluster that was recovered may have lost its last changes.
            Some(held) if revision < held && epoch == held_epoch => {
                let since = *self.behind.get_or_insert_with(Instant::now);
                if since.elapsed() < BEHIND {
                    let behind = format!("it is behind: at revision {revision}, this node holds {held}");
                    return Err(ended(Weight::NotNow, behind));
                }
                tracing::warn!("going back from revision {held} to {revision}: no manager has a newer one");
            }
            _ => {}
        }
        *self.behind = None;
        Ok(())
    }
}

struct Open {
    outgoing: mpsc::Sender<v1::WorkerMessage>,
    incoming: Streaming<v1::ManagerMessage>,
    programmed: watch::Receiver<Revision>,
    trusted: watch::Receiver<Option<[u8; 32]>>,
    trouble: watch::Receiver<String>,
    unanswered: watch::Receiver<BTreeSet<NodeId>>,
    incarnation: watch::Receiver<Option<Incarnation>>,
    beat: Duration,
}

impl Open {
    fn acknowledge(&mut self) -> Result<(), Ended> {
        let revision = *self.programmed.borrow_and_update();
        match revision {
            0 => Ok(()),
            _ => self.say(worker_message::Message::Programmed(v1::Programmed { revision })),
        }
    }

    fn tell_trust(&mut self) -> Result<(), Ended> {
        let root = *self.trusted.borrow_and_update();
        match root {
            None => Ok(()),
            Some(root) => self.say(worker_message::Message::Trust(v1::Trust { root_digest: root.to_vec() })),
        }
    }

    fn tell_trouble(&mut self) -> Result<(), Ended> {
        let sentence = self.trouble.borrow_and_update().clone();
        self.say(worker_message::Message::Trouble(v1::Trouble { sentence }))
    }

    fn tell_doubts(&mut self) -> Result<(), Ended> {
        let unanswered = self.unanswered.borrow_and_update().clone();
        let nodes = unanswered.iter().take(MOST_DOUBTS).map(ToString::to_string).collect();
        self.say(worker_message::Message::Doubts(v1::Doubts { nodes }))
    }

    fn tell_incarnation(&mut self) -> Result<(), Ended> {
        let drawn = *self.incarnation.borrow_and_update();
        match drawn {
            None => Ok(()),
            Some(Incarnation(drawn)) => {
                self.say(worker_message::Message::Incarnation(v1::Incarnation { drawn: drawn.to_vec() }))
            }
        }
    }

    fn say(&self, message: worker_message::Message) -> Result<(), Ended> {
        let sent = self.outgoing.try_send(say(message));
        sent.map_err(|_| ended(Weight::Unreachable, "the connection is stuck"))
    }
}

/// By how much this host's clock is ahead of a manager's, which said what it shows. `None`: too old to say.
fn clock_ahead_ms(theirs_ms: u64) -> Option<i64> {
    let own = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (own, theirs) = (i64::try_from(own.as_millis()).ok()?, i64::try_from(theirs_ms).ok()?);
    (theirs != 0).then(|| own.saturating_sub(theirs))
}

fn say(message: worker_message::Message) -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(message) }
}
