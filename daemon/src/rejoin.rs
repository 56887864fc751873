//! `rejoin`: addresses changed everywhere, and an operator says where another member is found now.
//! Knows: whom to believe, and that nothing is changed before. Must not know: what follows from it.

use crate::address::{self, Typed};
use crate::daemon::{Daemon, Phase};
use crate::host;
use crate::member::Member;
use crate::role::certificate;
use crate::running::Running;
use crate::whereabouts;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::Dialler;
use swarm_manager::{Found, ask};
use swarm_model::{Epoch, Kin, Lineage, Role};
use swarm_proto::v1 as pb;
use tonic::{Code, Status};

/// For the managers to find each other and elect a leader once enough of them have been told.
const QUORUM_WITHIN: Duration = Duration::from_secs(10);
/// For a manager with a quorum to say whether this node is on record.
const MEMBER_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

/// # Errors
/// This host is no member, or no manager of its cluster answers at the addresses given. Nothing was changed then.
pub async fn rejoin(daemon: &Arc<Daemon>, request: pb::RejoinRequest) -> Result<pb::RejoinResponse, Status> {
    let (running, answer) = {
        let _turn = daemon.turn().await;
        daemon.must_be_open()?;
        let Phase::Member(running) = daemon.phase() else {
            return Err(Status::failed_precondition(
                "this node is not part of a swarm: use `swarmctl join` with a token to become a member of one",
            ));
        };
        let remotes = crate::join::remotes("rejoin", &request.remote_addrs)?;
        let peers = crate::join::resolved(&request.remote_addrs).await;
        let member = readdressed(&running.member(), &request.advertise_addr, &peers)?;
        let (addr, found) = find(&running, &remotes).await?;
        is_still_a_member(&running, &addr).await?;
        can_be_reached(&running, &addr, &member).await?;
        whereabouts::settle(daemon, &running, member.reached_by(&remotes)).await?;
        follow(&running, &found.lineage);
        turn_to(&running, remotes, &running.member());
        let answer = answer(&running, addr, &found);
        (running, answer)
    };
    Ok(pb::RejoinResponse { quorum: has_quorum(&running).await, ..answer })
}

fn answer(running: &Running, addr: String, found: &Found) -> pb::RejoinResponse {
    pb::RejoinResponse {
        manager: found.node.map(|node| node.to_string()).unwrap_or_default(),
        addr,
        advertise_addr: running.member().advertise.to_string(),
        quorum: false,
        hostname: found.host.clone(),
    }
}

/// Whoever was removed while it was away is told by the manager it asks to go on with, not by silence afterwards. What keeps
/// that manager from an answer (it has no quorum yet) is none against this node.
async fn is_still_a_member(running: &Running, addr: &str) -> Result<(), Status> {
    let asked = tokio::time::timeout(MEMBER_WITHIN, certificate::is_refused(running, addr)).await;
    match asked {
        Ok(Some(why)) => Err(Status::failed_precondition(format!(
            "{addr} does not know this node as a member any more ({why}): run `swarmctl leave --force` here and join again; \
             nothing was changed"
        ))),
        Ok(None) | Err(_) => Ok(()),
    }
}

fn readdressed(member: &Member, advertise: &str, peers: &[SocketAddr]) -> Result<Member, Status> {
    let Some(wishes) = member.wishes.clone().filter(|_| advertise.is_empty()) else {
        return match advertise {
            "" => Ok(member.clone()),
            given => typed(member, given, peers),
        };
    };
    let found = address::moved(&wishes, &member.chosen(), &host::addresses(), || None);
    Ok(whereabouts::at(member, found, wishes))
}

/// The other two wishes stay; of a port that was not typed, the one there is.
fn typed(member: &Member, advertise: &str, peers: &[SocketAddr]) -> Result<Member, Status> {
    let mut wishes = member.wishes.clone().unwrap_or_default();
    let port = member.listen.to_string();
    let listen = if wishes.listen.is_empty() { &port } else { &wishes.listen };
    let typed = Typed { advertise, listen, data_path: &wishes.data_path };
    let refuse = |error: address::AddressError| {
        let refused = Status::from(error);
        Status::new(refused.code(), format!("{}; nothing was changed", refused.message()))
    };
    let host = host::addresses();
    let found = address::choose(typed, &host).map_err(refuse)?;
    let peers: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
    address::reachable_for(&peers, typed, &found, &host).map_err(refuse)?;
    // A manager is dialled where it says to be, before that is taken down.
    if member.role == Role::Worker {
        address::must_be_ours(advertise, found.advertise.ip(), &host).map_err(refuse)?;
    }
    advertise.clone_into(&mut wishes.advertise);
    Ok(whereabouts::at(member, found, wishes))
}

/// The first of these that is a manager of this very cluster and answers. All are asked at once: most may be dead.
async fn find(running: &Running, remotes: &[String]) -> Result<(String, Found), Status> {
    let dialler = Dialler::new(running.credentials.clone());
    let (mut failures, mut code) = (Vec::new(), Code::Unavailable);
    let epoch = running.lineage().epoch;
    let asked = remotes.iter().map(|addr| ask(&dialler, epoch, addr));
    for (addr, answer) in remotes.iter().zip(futures::future::join_all(asked).await) {
        match answer.and_then(|found| believe(running, addr, found)) {
            Ok(found) => return Ok((addr.clone(), found)),
            Err(status) => {
                if status.code() != Code::Unavailable {
                    code = status.code();
                }
                failures.push(status.message().to_owned());
            }
        }
    }
    Err(Status::new(code, format!("{}; nothing was changed", failures.join("; "))))
}

/// Its certificate said that it is a manager of this cluster; that may have been one of long ago.
fn believe(running: &Running, addr: &str, found: Found) -> Result<Found, Status> {
    if found.node == Some(running.member().node) {
        return Err(Status::invalid_argument(format!(
            "{addr} is this node itself: give the address of a manager on another host"
        )));
    }
    let own = running.lineage();
    match own.refusal(&found.lineage) {
        // A worker decides nothing: whose word it takes is an operator's to say.
        Some(_) if own.sees(&found.lineage) == Kin::Apart && !running.is_manager() => Ok(found),
        Some(_) if goes_back(&own, &found) && !running.is_manager() => Ok(found),
        Some(reason) => Err(Status::permission_denied(format!("{addr} is not joined again: {reason}"))),
        None => Ok(found),
    }
}

/// Managers that decided all the while have met the epoch that this host has followed, and stayed where they were.
fn goes_back(own: &Lineage, found: &Found) -> bool {
    let has_met = |epoch: &Epoch| *epoch == own.epoch || own.past.contains(epoch);
    own.sees(&found.lineage) == Kin::Past && found.stayed.iter().any(has_met)
}

/// From here on this host keeps to the epoch of the manager that an operator has named, whoever decides here.
fn follow(running: &Running, theirs: &Lineage) {
    if let Some(serving) = running.serving()
        && running.lineage().sees(theirs) == Kin::Later
    {
        serving.manager.follow(theirs.clone());
    }
    match running.lineage().sees(theirs) {
        Kin::Past => running.worker.go_back(theirs.clone()),
        Kin::Same | Kin::Later | Kin::Apart => running.worker.expect(theirs.clone()),
    }
}

/// A manager that nobody reaches where it says would be a vote that is missing.
async fn can_be_reached(running: &Running, addr: &str, member: &Member) -> Result<(), Status> {
    let before = running.member();
    let Some(serving) = running.serving() else { return Ok(()) };
    // Where it is going to listen on another address, nobody can try yet.
    if member.advertise == before.advertise || member.listen != before.listen {
        return Ok(());
    }
    let found = serving.manager.would_be_found(addr, (member.advertise, member.moves)).await;
    found.map_err(|e| Status::new(e.code(), format!("{}; nothing was changed", e.message())))
}

fn turn_to(running: &Running, remotes: Vec<String>, member: &Member) {
    match running.serving() {
        Some(serving) => serving.manager.look_at(member.seeds()),
        None => running.worker.call_on(remotes),
    }
}

/// Whether the managers can decide by now; a worker need not know.
async fn has_quorum(running: &Running) -> bool {
    let decides = async {
        // One that follows another epoch is a worker soon.
        while let Some(serving) = running.serving()
            && !serving.manager.has_quorum().await
        {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(QUORUM_WITHIN, decides).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by a breaker: whoever had followed a manager that was forced beside a majority could not come back.
    #[test]
    fn a_past_counts_again_only_where_it_has_met_this_epoch_and_stayed() {
        let (own, met) = (Lineage::default().follow(7), Lineage::default().follow(8));
        let found = |stayed: &[Epoch]| Found {
            node: None,
            host: String::new(),
            lineage: Lineage::default(),
            stayed: stayed.to_vec(),
        };
        assert!(goes_back(&own, &found(&[met.epoch, own.epoch])));
        assert!(goes_back(&own.clone().follow(9), &found(&[own.epoch])));
        assert!(!goes_back(&own, &found(&[])) && !goes_back(&own, &found(&[met.epoch])));
        assert!(!goes_back(&Lineage::default(), &found(&[own.epoch])), "it lives there already");
    }
}
