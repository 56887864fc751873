//! Which managers are heard: the leader's view, asked for where this manager does not lead.
//! Knows: Raft's status and the question for it. Must not know: nodes, services.

use crate::leadership::{Leader, leader};
use crate::quorum::{Quorum, majority};
use crate::recovery;
use crate::seat::Seat;
use std::collections::BTreeSet;
use std::time::Duration;
use swarm_model::{NodeId, Role};
use swarm_proto::v1::{self, Reachability};
use swarm_raft::{Member, Status};
use swarm_state::losses::Presence;

/// `node ls` shows what is known within this time.
const HEARD_DEADLINE: Duration = Duration::from_secs(1);

/// Shown of a manager that answers, and takes no changes.
const DISK_FULL: &str = "disk full";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachabilities {
    leader: Option<u64>,
    heard: BTreeSet<u64>,
    /// Those that say that they have no room for changes.
    full: BTreeSet<u64>,
    /// How far the leader itself is; 0: it did not say.
    led_to: u64,
}

impl Reachabilities {
    pub fn presence(&self, raft_id: u64) -> Presence {
        match self.leader == Some(raft_id) || self.heard.contains(&raft_id) {
            true if self.full.contains(&raft_id) => Presence::Full,
            true => Presence::Heard,
            false => Presence::Silent,
        }
    }

    pub fn of(&self, raft_id: u64) -> Reachability {
        match self.presence(raft_id) {
            Presence::Heard | Presence::Full if self.leader == Some(raft_id) => Reachability::Leader,
            Presence::Heard => Reachability::Reachable,
            Presence::Full | Presence::Silent => Reachability::Unreachable,
        }
    }

    /// Why it cannot take part though it answers; empty: it can, or does not answer.
    pub fn trouble(&self, raft_id: u64) -> &'static str {
        if self.presence(raft_id) == Presence::Full { DISK_FULL } else { "" }
    }
}

/// Whether this manager is to stay one, as far as it knows.
pub fn is_to_stay(seat: &Seat) -> bool {
    let me = seat.me().node;
    seat.applied.read(|state| state.node(&me).is_none_or(|node| node.role == Role::Manager))
}

/// The leader's view; without a quorum, this manager's own.
pub async fn reachabilities(seat: &Seat) -> Reachabilities {
    there(seat, &seat.raft.status()).await
}

/// What Raft knows without asking each of them: a change must not cost a handshake with every manager. Who has no room is
/// not in it.
pub async fn as_heard(seat: &Seat) -> Reachabilities {
    heard(seat, &seat.raft.status()).await
}

/// As `heard`, and who has no room for changes, as each says itself. Without a quorum all others are asked, because Raft
/// knows then only whom a leader has missed; else those that the leader hears, who answer at once.
async fn there(seat: &Seat, status: &Status) -> Reachabilities {
    let mut known = heard(seat, status).await;
    let decides = counted(status, &known).leader.is_some();
    if !decides {
        // Whoever Raft still calls so leads nobody.
        known.leader = None;
    }
    let voter =
        |node: NodeId| status.voters.iter().find(|(_, m)| m.node == node.to_string()).map(|(id, _)| *id);
    let is_asked = |node| !decides || voter(node).is_some_and(|id| known.heard.contains(&id));
    let me = seat.me().node;
    for (peer, survey) in recovery::those(seat, |node| node != me && is_asked(node)).await {
        let Some(id) = voter(peer.node) else { continue };
        known.heard.insert(id);
        if survey.disk_full {
            known.full.insert(id);
        }
    }
    if seat.raft.is_full() {
        known.full.insert(status.id);
    }
    known
}

async fn heard(seat: &Seat, status: &Status) -> Reachabilities {
    let asked = match leader(status) {
        Leader::Here => Some((status.heard.clone(), status.applied)),
        Leader::There(member) => ask(seat, &member).await,
        Leader::Nowhere => None,
    };
    known(status, asked)
}

/// What `status` and the leader's answer come to. A leader that does not answer is not shown as one.
fn known(status: &Status, asked: Option<(BTreeSet<u64>, u64)>) -> Reachabilities {
    match asked {
        Some((mut heard, led_to)) => {
            let leader = status.leader.as_ref().map(|(id, _)| *id);
            heard.extend(leader);
            Reachabilities { leader, heard, full: BTreeSet::new(), led_to }
        }
        None => {
            let heard = BTreeSet::from([status.id]);
            Reachabilities { leader: None, heard, full: BTreeSet::new(), led_to: 0 }
        }
    }
}

async fn ask(seat: &Seat, member: &Member) -> Option<(BTreeSet<u64>, u64)> {
    let call = async {
        let mut client = seat.links.membership(member).await.ok()?;
        client.heard(v1::HeardRequest {}).await.ok()
    };
    let answer = tokio::time::timeout(HEARD_DEADLINE, call).await.ok().flatten()?;
    let v1::HeardResponse { raft_ids, applied } = answer.into_inner();
    Some((raft_ids.into_iter().collect(), applied))
}

/// The managers as the leader sees them, if there is one.
pub async fn quorum(seat: &Seat) -> Quorum {
    quorum_and_leader(seat).await.0
}

/// The same, and how far the leader is; 0: nobody says.
pub async fn quorum_and_leader(seat: &Seat) -> (Quorum, u64) {
    let status = seat.raft.status();
    let heard = heard(seat, &status).await;
    (counted(&status, &heard), heard.led_to)
}

/// The same, and what of it an operator should know.
pub async fn quorum_and_losses(seat: &Seat) -> (Quorum, Vec<String>) {
    // Looked at first: what the status tells is only more than it was then.
    let recovered = seat.raft.wait_recovered(Duration::ZERO).await.is_ok();
    // One status for all of it: a leader is shown with the term it leads in.
    let status = seat.raft.status();
    let reachable = there(seat, &status).await;
    let losses = seat.applied.read(|state| state.losses(|raft_id| reachable.presence(raft_id)));
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
    // Who has no room votes, and so a leader may be heard by enough; but nothing is decided with it.
    let able = count(status.voters.keys().filter(|id| reachable.presence(**id) == Presence::Heard).count());
    let leader = reachable.leader.filter(|_| heard >= majority(voters));
    let member = leader.and_then(|id| status.voters.get(&id));
    Quorum {
        voters,
        reachable: able,
        leader: member.and_then(|member| member.node.parse().ok()),
        term: status.term,
        applied: status.applied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let quorum = counted(&status, &known(&status, Some((status.heard.clone(), 9))));
            assert_eq!(quorum.leader.is_some(), named, "{voters} voters, heard {heard:?}");
        }
    }

    /// Found by a breaker: it counted among the reachable, and its loss was thought to be borne.
    #[test]
    fn a_manager_whose_disk_is_full_answers_and_counts_for_nothing() {
        let status = leading(3, &[1, 2, 3]);
        let full = |ids: &[u64]| Reachabilities {
            full: ids.iter().copied().collect(),
            ..known(&status, Some((status.heard.clone(), 9)))
        };
        let one = full(&[3]);
        assert_eq!((one.of(3), one.trouble(3)), (Reachability::Unreachable, "disk full"));
        assert_eq!((one.of(2), one.trouble(2)), (Reachability::Reachable, ""));
        let quorum = counted(&status, &one);
        assert_eq!((quorum.reachable, quorum.survives(), quorum.leader.is_some()), (2, 0, true));
        // The leader of managers that are full for the most part leads on, and decides nothing.
        let most = full(&[1, 3]);
        assert_eq!((most.of(1), most.trouble(1)), (Reachability::Leader, "disk full"));
        let quorum = counted(&status, &most);
        assert_eq!((quorum.reachable, quorum.leader.is_some()), (1, true));
        // Silent is worse.
        let silent = Reachabilities { heard: BTreeSet::from([1, 2]), ..one };
        assert_eq!((silent.of(3), silent.trouble(3)), (Reachability::Unreachable, ""));
    }

    #[test]
    fn a_leader_that_does_not_answer_this_manager_is_not_named() {
        let status = Status { id: 2, role: Role::Follower, ..leading(3, &[]) };
        let quorum = counted(&status, &known(&status, None));
        assert_eq!((quorum.leader, quorum.reachable), (None, 1));
    }
}
