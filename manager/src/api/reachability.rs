//! Which managers are heard: the leader's view, asked for where this manager does not lead.
//! Knows: Raft's status and the question for it. Must not know: nodes, services.

use crate::leadership::{Leader, leader};
use crate::quorum::Quorum;
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

/// The leader's view; without one, this manager hears only itself.
pub async fn reachabilities(seat: &Seat) -> Reachabilities {
    let status = seat.raft.status();
    let asked = match leader(&status) {
        Leader::Here => Some(status.heard.clone()),
        Leader::There(member) => ask(seat, &member).await,
        Leader::Nowhere => None,
    };
    known(&status, asked)
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

/// The managers as this one sees them.
pub async fn quorum(seat: &Seat) -> Quorum {
    let reachable = reachabilities(seat).await;
    let status = seat.raft.status();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let member = reachable.leader.and_then(|id| status.voters.get(&id));
    Quorum {
        voters: count(status.voters.len()),
        reachable: count(status.voters.keys().filter(|id| reachable.heard.contains(id)).count()),
        leader: member.and_then(|member| member.node.parse().ok()),
        term: status.term,
        applied: status.applied,
    }
}
