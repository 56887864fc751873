//! Greeting the others: at the start, after a move, when there is news, and now and then.
//! Knows: whom to greet and how often. Must not know: what an address is made durable by.

use super::{Whereabouts, greeting, note_hints, note_own, record, spelled};
use crate::recovery;
use crate::seat::Seat;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::Dialler;
use swarm_model::{Epoch, Lineage, NodeId};
use swarm_proto::v1;
use swarm_proto::v1::membership_client::MembershipClient;
use swarm_proto::v1::recovery_client::RecoveryClient;
use swarm_state::State;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// One manager's time to be found and to answer; it may have to dial back first.
const DEADLINE: Duration = Duration::from_secs(8);
/// Between two rounds while somebody has not answered.
const EAGER: Duration = Duration::from_secs(2);
/// And while everybody has: for words that were lost or forgotten.
const CALM: Duration = Duration::from_secs(30);

/// Who was found at an address that an operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `None`: it is too old to say.
    pub node: Option<NodeId>,
    /// Its host's name; empty: it is too old to say.
    pub host: String,
    pub lineage: Lineage,
    /// Later epochs that those who decide there have met, and not followed.
    pub stayed: Vec<Epoch>,
}

/// Runs until stopped.
pub async fn greet_others(seat: Arc<Seat>, stop: CancellationToken) {
    let mut roles = seat.applied.watch_roles();
    let mut status = seat.raft.watch_status();
    let work = async {
        loop {
            let led_by = status.borrow_and_update().leader.clone();
            let heard = round(&seat).await;
            record::settle(&seat, heard.by_somebody()).await;
            tokio::select! {
                () = tokio::time::sleep(if heard.by_all() { CALM } else { EAGER }) => {}
                () = seat.addresses.news.notified() => {}
                Ok(()) = roles.changed() => {}
                // Whoever leads now has to make durable what it has heard.
                Ok(()) = async { status.wait_for(|now| now.leader != led_by).await.map(drop) } => {}
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// How many of the other managers on record have taken this one's word.
struct Heard {
    others: usize,
    by: usize,
}

impl Heard {
    fn by_all(&self) -> bool {
        self.by == self.others
    }

    fn by_somebody(&self) -> bool {
        self.by > 0 || self.others == 0
    }
}

async fn round(seat: &Seat) -> Heard {
    let managers = seat.applied.read(State::managers);
    // An empty record says nothing about anybody.
    if !managers.is_empty() {
        seat.links.book().keep_only(|node| managers.iter().any(|peer| peer.node == *node));
    }
    let mut seeds = seat.addresses.seeds.lock().clone();
    seeds.retain(|seed| !managers.iter().any(|peer| peer.addr.to_string() == *seed));
    let others = managers.into_iter().filter(|peer| peer.node != seat.me().node);
    let named = others.map(|peer| async move {
        let channel = seat.links.find(peer.node, peer.addr).await.map_err(Status::unavailable)?;
        greet(seat, &peer.addr.to_string(), (Some(peer.node), channel)).await
    });
    let seeded = seeds.into_iter().map(|addr| async move { greet_at(seat, &addr).await });
    let (named, _) = tokio::join!(
        futures::future::join_all(named.map(|one| timeout(DEADLINE, one))),
        futures::future::join_all(seeded.map(|one| timeout(DEADLINE, one))),
    );
    Heard { others: named.len(), by: named.iter().filter(|one| matches!(one, Ok(Ok(())))).count() }
}

/// Somebody at an address that an operator named. What it says of itself is confirmed where its node is found.
async fn greet_at(seat: &Seat, addr: &str) -> Result<(), Status> {
    if *addr == seat.addresses.own().addr.to_string() {
        return Ok(());
    }
    greet(seat, addr, (None, dial(seat, addr).await?)).await
}

async fn dial(seat: &Seat, addr: &str) -> Result<Channel, Status> {
    Dialler::new(seat.credentials.clone()).to_manager(addr).await.map_err(|e| e.to_status())
}

/// Says where this manager is found, and hears where the others are. `node`: whose certificate answers there, if that was
/// made sure of.
async fn greet(seat: &Seat, addr: &str, (node, channel): (Option<NodeId>, Channel)) -> Result<(), Status> {
    // Answered to former managers too: they learn by it that they are that.
    let request = recovery::request(seat);
    let survey = RecoveryClient::new(channel.clone()).survey(request).await?.into_inner();
    let said = recovery::lineage_of(&survey);
    if said.epoch != recovery::lineage(seat).epoch {
        another_epoch(seat, &said, (survey.node.parse().ok(), addr)).await;
        return Err(Status::failed_precondition("it lives in another epoch of the cluster"));
    }
    let answer = match MembershipClient::new(channel).greet(greeting(seat)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            match status.code() {
                Code::AlreadyExists => {
                    drop(seat.addresses.twin.send_replace(Some(status.message().to_owned())))
                }
                // One that is too old to be greeted learns addresses from the record alone.
                Code::Unimplemented => return Ok(()),
                _ => tracing::debug!(reason = status.message(), "a manager did not take this one's greeting"),
            }
            return Err(status);
        }
    };
    let claimed = match node {
        Some(node) => {
            note_own(seat, node, answer.own);
            None
        }
        None => answer.own,
    };
    // What is new of it is tried when these are dialled next.
    note_hints(seat, claimed.into_iter().chain(answer.others));
    Ok(())
}

/// Somebody who is found at this address lives in another epoch, and says it is this node.
async fn another_epoch(seat: &Seat, said: &Lineage, (node, addr): (Option<NodeId>, &str)) {
    recovery::hear(seat, said, (node, addr));
    if let (Some(node), Ok(addr)) = (node, addr.parse()) {
        recovery::make_sure(seat, node, addr).await;
    }
}

/// Has the manager at `addr` dial this one where it is going to be found.
///
/// # Errors
/// It cannot be reached there, or that manager does not answer.
pub async fn would_be_found(seat: &Seat, addr: &str, word: Whereabouts) -> Result<(), Status> {
    let greeting = v1::Greeting { own: Some(spelled(seat.me().node, word)), ..greeting(seat) };
    let asked = async { MembershipClient::new(dial(seat, addr).await?).greet(greeting).await };
    match timeout(DEADLINE, asked).await {
        Ok(Err(status)) if status.code() != Code::Unimplemented => Err(status),
        Ok(_) => Ok(()),
        Err(_) => Err(late(addr)),
    }
}

fn late(addr: &str) -> Status {
    Status::unavailable(format!("{addr} did not answer within {} s", DEADLINE.as_secs()))
}

/// Who answers one who lives in this epoch, at an address that an operator named; nothing is changed by asking.
///
/// # Errors
/// Nobody does, or somebody who is no manager of this cluster.
pub async fn ask(dialler: &Dialler, epoch: Epoch, addr: &str) -> Result<Found, Status> {
    let request = v1::SurveyRequest { epoch: epoch.as_u64() };
    let asked = async {
        let channel = dialler.to_manager(addr).await.map_err(|e| e.to_status())?;
        let survey = RecoveryClient::new(channel).survey(request).await?.into_inner();
        let node = swarm_proto::optional("node", &survey.node, "an id: 25 characters of 0-9a-z")?;
        let lineage = recovery::lineage_of(&survey);
        let stayed = survey.stayed.into_iter().map(Epoch::from_u64).collect();
        Ok(Found { node, host: survey.hostname, lineage, stayed })
    };
    timeout(DEADLINE, asked).await.map_err(|_| late(addr))?
}
