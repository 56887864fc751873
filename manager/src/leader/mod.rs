//! What every manager looks after now and then, and the leader for all.
//! Knows: when to look. Must not know: what is decided then (that is `liveness` and `corrections`).

mod corrections;
mod departures;
mod doubts;
mod level;
mod liveness;
mod ring;
mod rotation;
mod stale;
mod tell;
#[cfg(test)]
pub mod testing;

use crate::leadership::{Leader, leader, leader_now};
use crate::recovery;
use crate::seat::Seat;
pub use corrections::{corrections, members};
pub use departures::{Departure, heir, next_departure, others_decide};
pub use doubts::{Doubt, Doubts};
use futures::StreamExt;
pub use level::{Said, rise, too_old};
use liveness::{Graces, Liveness, Spell, Verdict};
pub use rotation::advanced_by;
pub use stale::end_stale_sessions;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_model::{ClusterSettings, Node, NodeId, NodeState};
use swarm_proto::v1;
use swarm_raft::{Member, Status};
use swarm_state::{Command, State};
pub use tell::tell_of_leaders;
use tokio_util::sync::CancellationToken;

/// Rounds in one heartbeat: how exactly graces are kept.
const ROUNDS: u32 = 4;
/// Heartbeats a node has to find another manager when its own is lost, before it is declared unknown.
const UNKNOWN_AFTER: u32 = 1;
/// Heartbeats an unknown node has to come back before it is down. Its own silence took three more before that.
const DOWN_AFTER: u32 = 2;
/// For telling the leader whom nodes miss: a manager judges its own nodes whether or not it hears that.
const PASS_ON_DEADLINE: Duration = Duration::from_millis(300);
/// Proposals of one round under way together: a manager that is lost may take a thousand nodes along.
const VERDICTS_AT_ONCE: usize = 64;

/// Runs until stopped.
pub async fn watch_over(seat: Arc<Seat>, stop: CancellationToken) {
    let mut rounds =
        Rounds { leads: false, liveness: Liveness::default(), ring: ring::Seen::default(), passed_on: false };
    let mut roles = seat.applied.watch_roles();
    let work = async {
        loop {
            let pause = tokio::time::sleep(heartbeat(&seat) / ROUNDS);
            tokio::select! {
                () = pause => {}
                Ok(()) = roles.changed() => {}
            }
            rounds.make(&seat).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

fn heartbeat(seat: &Seat) -> Duration {
    let setting = seat.applied.read(|state| state.cluster().map(|c| c.settings.heartbeat_ms));
    Duration::from_millis(setting.unwrap_or(ClusterSettings::DEFAULT_HEARTBEAT_MS))
}

struct Rounds {
    leads: bool,
    liveness: Liveness,
    ring: ring::Seen,
    /// Whether the leader was told of doubts last time.
    passed_on: bool,
}

impl Rounds {
    async fn make(&mut self, seat: &Seat) {
        let status = seat.raft.status();
        let leads = match leader(&status) {
            Leader::Here => true,
            Leader::There(leader) => {
                self.pass_on(seat, &leader).await;
                false
            }
            // Nothing can be written; the graces begin anew with the next leader.
            Leader::Nowhere => return self.liveness = Liveness::default(),
        };
        if leads != self.leads {
            self.liveness = Liveness::default();
        }
        self.leads = leads;
        self.judge_nodes(seat, &status).await;
        if leads {
            let_go(seat).await;
            correct_record(seat, &seat.raft.status()).await;
            level::raise(seat, &seat.raft.status()).await;
            rotation::finish(seat).await;
            ring::turn(seat, &mut self.ring).await;
        }
    }

    /// Tells the leader whom the nodes with sessions here miss; once also that they miss nobody any more. Lost, it is told
    /// again with the next round, or counts no more.
    async fn pass_on(&mut self, seat: &Seat, leader: &Member) {
        let doubts = seat.doubts.here();
        if doubts.is_empty() && !self.passed_on {
            return;
        }
        let doubt = |doubt: &Doubt| v1::Doubt { by: doubt.by.to_string(), of: doubt.of.to_string() };
        let request = v1::WeighRequest { doubts: doubts.iter().map(doubt).collect() };
        let call = async {
            let mut client = seat.links.membership(leader).await.ok()?;
            client.weigh(request).await.ok()
        };
        let told = tokio::time::timeout(PASS_ON_DEADLINE, call).await.ok().flatten().is_some();
        self.passed_on = told && !doubts.is_empty();
    }

    async fn judge_nodes(&mut self, seat: &Seat, status: &Status) {
        let view = View { me: seat.me().node, leads: self.leads, status };
        let graces = Graces { unknown: heartbeat(seat) * UNKNOWN_AFTER, down: heartbeat(seat) * DOWN_AFTER };
        let missing = seat.doubts.missing(Instant::now());
        let verdicts = seat.applied.read(|state| {
            let nodes = || state.nodes().filter(|node| view.concerns(state, node));
            let served: BTreeSet<NodeId> =
                nodes().filter(|node| view.is_served(seat, state, node)).map(|node| node.id).collect();
            let judged = nodes()
                .map(|node| (node.id, Spell { state: node.status.state, since_ms: node.status.since_ms }));
            self.liveness.judge(judged, (&served, &missing), (Instant::now(), graces))
        });
        let records = verdicts
            .into_iter()
            .map(|verdict| record_verdict(seat, verdict, missing.contains(&verdict.node)));
        futures::stream::iter(records).buffer_unordered(VERDICTS_AT_ONCE).collect::<()>().await;
    }
}

/// Guarded by the session: a node that has come back meanwhile is left alone.
async fn record_verdict(seat: &Seat, Verdict { node, state }: Verdict, is_missed: bool) {
    let session = seat.applied.read(|s| s.session(&node).map(|session| session.id));
    let message = match is_missed {
        true => "no manager has heard from it, and other nodes have no answer from it",
        false => "no manager has heard from it",
    };
    let message = message.to_owned();
    if let Err(e) = seat.propose_own(Command::SetNodeStatus { node, state, message, session }).await {
        tracing::debug!(%node, %state, reason = %e, "a node's state was not recorded");
    }
}

/// What one manager can say of nodes.
struct View<'a> {
    me: NodeId,
    leads: bool,
    status: &'a Status,
}

impl View<'_> {
    /// The leader judges all; another manager only those whose sessions it should hold.
    fn concerns(&self, state: &State, node: &Node) -> bool {
        let mine = state.session(&node.id).is_some_and(|session| session.manager == self.me);
        self.leads || (mine && node.status.state == NodeState::Ready)
    }

    /// By this manager's own word, or by that of another which the leader hears.
    fn is_served(&self, seat: &Seat, state: &State, node: &Node) -> bool {
        let Some(session) = state.session(&node.id) else {
            return false;
        };
        if session.manager == self.me {
            return seat.applied.hub().holds(node.id);
        }
        node.status.state == NodeState::Ready && self.hears(session.manager)
    }

    fn hears(&self, manager: NodeId) -> bool {
        let manager = manager.to_string();
        self.status.voters.iter().any(|(id, member)| member.node == manager && self.status.heard.contains(id))
    }
}

/// Takes out of Raft who is to be a manager no more. Left alone while somebody joins or leaves.
async fn let_go(seat: &Seat) {
    let Ok(_turn) = seat.members.try_lock() else {
        return;
    };
    loop {
        let status = seat.raft.status();
        let Some(departure) = seat.applied.read(|state| next_departure(&status, state)) else {
            return;
        };
        if let Departure::Remove { raft_id } = departure
            && let Err(reason) = left_can_decide(seat, &status, raft_id).await
        {
            return tracing::warn!(raft_id, reason, "stays in Raft: the others could not decide without it");
        }
        let done = match departure {
            Departure::HandOver { to } => seat.raft.transfer_leader(to).await,
            Departure::Remove { raft_id } => seat.raft.remove(raft_id).await,
            Departure::Blocked { raft_id, host } => {
                return tracing::debug!(
                    raft_id,
                    host,
                    "stays in Raft: the others could not decide without it"
                );
            }
        };
        match done {
            Ok(()) => tracing::info!(?departure, "a manager is being let go"),
            Err(e) => return tracing::warn!(?departure, reason = %e, "a manager could not be let go yet"),
        }
        if leader_now(&seat.raft) != Leader::Here {
            return;
        }
    }
}

/// A learner costs nobody anything.
async fn left_can_decide(seat: &Seat, status: &Status, raft_id: u64) -> Result<(), String> {
    match status.voters.get(&raft_id).and_then(|member| member.node.parse().ok()) {
        Some(node) => recovery::can_do_without(seat, node).await,
        None => Ok(()),
    }
}

/// Makes the record of managers say what Raft says. Left alone while somebody joins or leaves.
async fn correct_record(seat: &Seat, status: &Status) {
    let Ok(_turn) = seat.members.try_lock() else {
        return;
    };
    let wrong = seat.applied.read(|state| corrections(status, state.nodes()));
    for (node, manager) in wrong {
        tracing::info!(%node, ?manager, "correcting a manager's record to what Raft says");
        if let Err(e) = seat.propose_own(Command::SetManager { node, manager }).await {
            tracing::warn!(%node, reason = %e, "a manager's record was not corrected");
        }
    }
}
