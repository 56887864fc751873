//! Which members Raft should let go of: those that are to be workers, and those that are no nodes of the cluster.
//! Knows: Raft's members and the record. Must not know: how either changes.

use crate::quorum::may_lose_one;
use swarm_model::{NodeId, NodeState, Role};
use swarm_raft::Status;
use swarm_state::State;

/// The next step towards that; one at a time, each looked at anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// This manager leads and is to go: another one leads first.
    HandOver {
        to: u64,
    },
    Remove {
        raft_id: u64,
    },
    /// The others could not decide without it, or nobody is heard that could lead.
    Blocked {
        raft_id: u64,
        host: String,
    },
}

pub fn next_departure(status: &Status, state: &State) -> Option<Departure> {
    state.cluster()?;
    let goes = |node: &str| !is_to_stay(node, state);
    let learner = status.learners.iter().find(|(_, member)| goes(&member.node));
    if let Some((raft_id, _)) = learner {
        return Some(Departure::Remove { raft_id: *raft_id });
    }
    let leaving = status.voters.iter().filter(|(_, member)| goes(&member.node));
    // The leader goes last of all: handing over may be all that is left to do here.
    let (raft_id, member) = leaving.min_by_key(|(id, _)| **id == status.id)?;
    let blocked = || Departure::Blocked { raft_id: *raft_id, host: host(&member.node, state) };
    Some(if *raft_id == status.id {
        heir(status, state).map_or_else(blocked, |to| Departure::HandOver { to })
    } else if others_decide(status, *raft_id) {
        Departure::Remove { raft_id: *raft_id }
    } else {
        blocked()
    })
}

/// Who leads next, when this leader goes: one that is heard. One that goes too, only where nobody stays: it would hand over
/// again at once, perhaps to this one.
pub fn heir(status: &Status, state: &State) -> Option<u64> {
    let others = || status.voters.iter().filter(|(id, _)| **id != status.id);
    let stays = |(_, member): &(&u64, &swarm_raft::Member)| is_to_stay(&member.node, state);
    let somebody_stays = others().any(|voter| stays(&voter));
    let mut heirs =
        others().filter(|voter| status.heard.contains(voter.0) && (!somebody_stays || stays(voter)));
    heirs.next().map(|(id, _)| *id)
}

/// Whether this node, by its id, is a manager and is to stay one.
fn is_to_stay(node: &str, state: &State) -> bool {
    let record = node.parse::<NodeId>().ok().and_then(|id| state.node(&id));
    record.is_some_and(|node| node.role == Role::Manager && node.status.state != NodeState::Disconnected)
}

fn host(node: &str, state: &State) -> String {
    let record = node.parse::<NodeId>().ok().and_then(|id| state.node(&id));
    record.map_or_else(|| node.to_owned(), |node| node.hostname.clone())
}

/// Whether those who are heard still decide without this voter.
pub fn others_decide(status: &Status, leaving: u64) -> bool {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let heard = status.voters.keys().filter(|id| **id != leaving && status.heard.contains(id)).count();
    may_lose_one(count(status.voters.len()), count(heard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::testing::{node_id, status, with_managers};
    use std::collections::BTreeSet;
    use swarm_model::NodeUpdate;
    use swarm_state::{Command, UpdateNode};

    fn demoted(state: &mut State, number: u8) {
        let update = NodeUpdate { role: Some(Role::Worker), ..NodeUpdate::default() };
        crate::leader::testing::apply(
            state,
            Command::UpdateNode(UpdateNode { node: node_id(number), update, if_revision: None }),
        );
    }

    fn heard(ids: &[u64]) -> Status {
        Status { heard: ids.iter().copied().collect::<BTreeSet<_>>(), ..status(&[1, 2, 3]) }
    }

    #[test]
    fn nobody_goes_who_is_to_stay() {
        assert_eq!(next_departure(&heard(&[1, 2, 3]), &with_managers(&[1, 2, 3])), None);
        assert_eq!(next_departure(&heard(&[1]), &State::default()), None);
    }

    #[test]
    fn a_demoted_follower_is_removed_and_a_demoted_leader_hands_over_first() {
        let mut state = with_managers(&[1, 2, 3]);
        demoted(&mut state, 2);
        assert_eq!(next_departure(&heard(&[1, 2, 3]), &state), Some(Departure::Remove { raft_id: 2 }));
        let mut state = with_managers(&[1, 2, 3]);
        demoted(&mut state, 1);
        assert_eq!(next_departure(&heard(&[1, 3]), &state), Some(Departure::HandOver { to: 3 }));
        assert!(matches!(next_departure(&heard(&[1]), &state), Some(Departure::Blocked { raft_id: 1, .. })));
    }

    /// Found by a loop of managers that leave in pairs: one that had just been handed leadership, and left too, handed it back.
    #[test]
    fn a_leader_that_goes_waits_for_one_that_stays() {
        let mut state = with_managers(&[1, 2, 3]);
        demoted(&mut state, 1);
        demoted(&mut state, 2);
        assert_eq!(heir(&heard(&[1, 2]), &state), None);
        assert_eq!(heir(&heard(&[1, 2, 3]), &state), Some(3));
        // Where nobody stays, whoever is heard.
        let two = Status { heard: BTreeSet::from([1, 2]), ..status(&[1, 2]) };
        assert_eq!(heir(&two, &state), Some(2));
    }

    #[test]
    fn what_would_cost_the_quorum_waits() {
        let mut state = with_managers(&[1, 2, 3]);
        demoted(&mut state, 2);
        let expected = Departure::Blocked { raft_id: 2, host: "n2".to_owned() };
        assert_eq!(next_departure(&heard(&[1, 2]), &state), Some(expected));
    }

    #[test]
    fn a_member_that_is_no_node_is_evicted() {
        let state = with_managers(&[1, 2]);
        assert_eq!(next_departure(&heard(&[1, 2, 3]), &state), Some(Departure::Remove { raft_id: 3 }));
    }
}
