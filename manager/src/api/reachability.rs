//! Which managers are heard: the leader's view, asked for where this manager does not lead.
//! Knows: Raft's status and the question for it. Must not know: nodes, services.

use crate::leadership::{Leader, leader};
use crate::quorum::{Quorum, majority};
use crate::recovery;
use crate::seat::Seat;
use std::collections::BTreeSet;
use std::time::Duration;
use swarm_proto::v1::{self, Reachability};
use swarm_raft::{Member, Status};

/// `node ls` shows what is known within this time.
const HEARD_DEADLINE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachabilities {
    leader: Option<u64>,
    heard: BTreeSet<u64>,
}

impl Reachabilities {
    pub fn hears(&self, raft_id: u64) -> bool {
        self.of(raft_id) != Reachability::Unreachable
    }

    pub fn of(&self, raft_id: u64) -> Reachability {
        if self.leader == Some(raft_id) {
            Reachability::Leader
        } else if self.heard.contains(&raft_id) {
            Reachability::Reachable
        } else {
            Reachability::Unreachable
        }
    }
}

/// The leader's view; without a quorum, this manager's own.
pub async fn reachabilities(seat: &Seat) -> Reachabilities {
    there(seat, &seat.raft.status()).await
}

/// As `heard`. Without a quorum the others are asked, each for itself: Raft knows then only whom a leader has missed.
async fn there(seat: &Seat, status: &Status) -> Reachabilities {
    let mut known = heard(seat, status).await;
    if counted(status, &known).leader.is_none() {
        // Whoever Raft still calls so leads nobody.
        known.leader = None;
        let answers = recovery::others(seat).await;
        let nodes: BTreeSet<String> = answers.iter().map(|(peer, _)| peer.node.to_string()).collect();
        known.heard.extend(status.voters.iter().filter(|(_, m)| nodes.contains(&m.node)).map(|(id, _)| *id));
    }
    known
}

async fn heard(seat: &Seat, status: &Status) -> Reachabilities {
    let asked = match leader(status) {
        Leader::Here => Some(status.heard.clone()),
        Leader::There(member) => ask(seat, &member).await,
        Leader::Nowhere => None,
    };
    known(status, asked)
}

/// What `status` and the leader's answer come to. A leader that does not answer is not shown as one.
fn known(status: &Status, asked: Option<BTreeSet<u64>>) -> Reachabilities {
    match asked {
        Some(mut heard) => {
            let leader = status.leader.as_ref().map(|(id, _)| *id);
            heard.extend(leader);
            Reachabilities { leader, heard }
        }
        None => Reachabilities { leader: None, heard: BTreeSet::from([status.id]) },
    }
}

async fn ask(seat: &Seat, member: &Member) -> Option<BTreeSet<u64>> {
    let call = async {
        let mut client = seat.links.membership(member).await.ok()?;
        client.heard(v1::HeardRequest {}).await.ok()
    };
    let answer = tokio::time::timeout(HEARD_DEADLINE, call).await.ok().flatten()?;
    Some(answer.into_inner().raft_ids.into_iter().collect())
}

/// The managers as the leader sees them, if there is one.
pub async fn quorum(seat: &Seat) -> Quorum {
    let status = seat.raft.status();
    counted(&status, &heard(seat, &status).await)
}

/// The same, and what of it an operator should know.
pub async fn quorum_and_losses(seat: &Seat) -> (Quorum, Vec<String>) {
    // Looked at first: what the status tells is only more than it was then.
    let recovered = seat.raft.wait_recovered(Duration::ZERO).await.is_ok();
    // One status for all of it: a leader is shown with the term it leads in.
    let status = seat.raft.status();
    let reachable = there(seat, &status).await;
    let losses = seat.applied.read(|state| state.losses(|raft_id| reachable.hears(raft_id)));
    let quorum = counted(&status, &reachable);
    // It may have shown more before it was started anew: how far it is, it does not know yet.
    let applied = if recovered { quorum.applied } else { 0 };
    (Quorum { applied, ..quorum }, losses.warnings())
}

/// A leader that hears no majority leads nothing, though Raft lets it keep its title until it hears of another. Without one,
/// those who answer are no quorum yet, however many.
fn counted(status: &Status, reachable: &Reachabilities) -> Quorum {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let voters = count(status.voters.len());
    let heard = count(status.voters.keys().filter(|id| reachable.heard.contains(id)).count());
    let leader = reachable.leader.filter(|_| heard >= majority(voters));
    let member = leader.and_then(|id| status.voters.get(&id));
    Quorum {
        voters,
        reachable: heard,
        leader: member.and_then(|member| member.node.parse().ok()),
        term: status.term,
        applied: status.applied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_model::NodeId;
    use swarm_raft::Role;

    fn member(id: u8) -> (u64, Member) {
        let node = NodeId::from_random([id; 16]).to_string();
        (u64::from(id), Member { node, addr: ([192, 0, 2, id], 2377).into() })
    }

    fn leading(voters: u8, heard: &[u64]) -> Status {
        Status {
            id: 1,
            term: 3,
            leader: Some(member(1)),
            role: Role::Leader,
            applied: 9,
            last_index: 9,
            last_term: 2,
            voters: (1..=voters).map(member).collect(),
            learners: Default::default(),
            heard: heard.iter().copied().collect(),
            stopped: None,
        }
    }

    #[test]
    fn a_leader_is_named_only_while_it_hears_a_majority() {
        for (voters, heard, named) in [
            (1, &[1][..], true),
            (2, &[1], false),
            (2, &[1, 2], true),
            (3, &[1], false),
            (3, &[1, 3], true),
            (5, &[1, 2], false),
            (5, &[1, 2, 9], false),
        ] {
            let status = leading(voters, heard);
            let quorum = counted(&status, &known(&status, Some(status.heard.clone())));
            assert_eq!(quorum.leader.is_some(), named, "{voters} voters, heard {heard:?}");
        }
    }

    #[test]
    fn a_leader_that_does_not_answer_this_manager_is_not_named() {
        let status = Status { id: 2, role: Role::Follower, ..leading(3, &[]) };
        let quorum = counted(&status, &known(&status, None));
        assert_eq!((quorum.leader, quorum.reachable), (None, 1));
    }
}
