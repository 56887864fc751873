//! Where this host is found, while that changes: its own addresses, and those of the managers it knows.
//! Knows: who has to hear of a change, in which order. Must not know: how an address is chosen (that is `address`).

use crate::address::{self, Chosen, Wishes};
use crate::daemon::Daemon;
use crate::host;
use crate::member::Member;
use crate::remembered::remember;
use crate::running::{self, Running, Start};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_worker::Here;
use tonic::Status;

/// Between two looks at this host's addresses.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs until this host leaves or stops.
pub async fn follow(daemon: Arc<Daemon>, running: Arc<Running>) {
    let stop = running.stop.clone();
    let work = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(status) = look(&daemon, &running).await {
                tracing::warn!(reason = status.message(), "this node's addresses are not settled yet");
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

async fn look(daemon: &Arc<Daemon>, running: &Arc<Running>) -> Result<(), Status> {
    if moved(&running.member()).is_none() && remembering(running).is_none() {
        return Ok(());
    }
    // Looked at again: a change of role, or an operator, may have come first.
    let _turn = daemon.turn().await;
    if let Some(member) = remembering(running) {
        store(daemon, &member)?;
        running.worker.set_seeds(member.seeds());
        running.set_member(member);
    }
    match moved(&running.member()) {
        Some(member) => settle(daemon, running, member).await,
        None => Ok(()),
    }
}

/// The member this host is now that its addresses are others; `None` while they are what they were.
pub fn moved(member: &Member) -> Option<Member> {
    let wishes = member.wishes.as_ref()?;
    let now = member.chosen();
    let towards = || host::address_towards(&member.managers);
    let found = address::moved(wishes, &now, &host::addresses(), towards);
    (found != now).then(|| at(member, found, wishes.clone()))
}

/// The same member, found elsewhere.
pub fn at(member: &Member, found: Chosen, wishes: Wishes) -> Member {
    let moves = member.moves.saturating_add(u64::from(found.advertise != member.advertise));
    let Chosen { advertise, listen, data_path } = found;
    Member { advertise, listen, data_path, moves, wishes: Some(wishes), ..member.clone() }
}

/// The member as it is to be remembered, if what a manager listed changes anything.
fn remembering(running: &Running) -> Option<Member> {
    let status = running.worker.status();
    if !status.session_error.is_empty() {
        return None;
    }
    let member = running.member();
    let listed: Vec<SocketAddr> = status.managers.iter().map(|manager| manager.addr).collect();
    let kept = (member.managers.clone(), member.listed_ms.clone());
    let (managers, listed_ms) = remember(&kept, &listed, now_ms());
    let listed = status.managers.iter().map(|manager| manager.node).collect();
    let same = (&managers, &listed_ms, &listed) == (&member.managers, &member.listed_ms, &member.listed);
    (!listed.is_empty() && !same).then_some(Member { managers, listed_ms, listed, ..member })
}

/// From here on this host is what `member` says: on disk first, then its manager, then its worker.
pub async fn settle(daemon: &Arc<Daemon>, running: &Arc<Running>, member: Member) -> Result<(), Status> {
    let before = running.member();
    store(daemon, &member)?;
    running.worker.set_seeds(member.seeds());
    running.set_member(member.clone());
    if member.chosen() == before.chosen() {
        return Ok(());
    }
    tracing::info!(advertise = %member.advertise, data_path = %member.data_path, "this node is found elsewhere now");
    match running.serving() {
        Some(serving) if member.listen == before.listen => {
            serving.manager.moved(member.advertise, member.moves);
            running.set_serving(Some(serving));
        }
        Some(serving) => {
            serving.stop().await;
            running.set_serving(None);
            listen_anew(daemon, running, &member).await?;
        }
        None => {}
    }
    running.worker.moved(Here { addr: member.advertise.ip(), data_path_addr: member.data_path });
    Ok(())
}

/// What fails here is tried again by those who follow the role.
async fn listen_anew(daemon: &Arc<Daemon>, running: &Running, member: &Member) -> Result<(), Status> {
    let start = Start { member: member.clone(), credentials: running.credentials.clone(), data_path_port: 0 };
    let serving = running::serve(daemon, &start).await?;
    running.set_serving(Some(Arc::new(serving)));
    Ok(())
}

fn store(daemon: &Daemon, member: &Member) -> Result<(), Status> {
    let stored = daemon.state.set_member(member);
    stored.map_err(|e| Status::internal(format!("node.json could not be stored: {e}")))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
