//! Which nodes the leader declares unknown or down, from who serves whom and how long nobody did.
//! Knows: states, sessions, durations. Must not know: Raft, RPCs, clocks (the caller says what time it is).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use swarm_model::{NodeId, NodeState};

/// How long a node may go unserved.
#[derive(Debug, Clone, Copy)]
pub struct Graces {
    /// Ready, before it is unknown.
    pub unknown: Duration,
    /// Unknown, before it is down.
    pub down: Duration,
}

/// Nodes that nobody serves, and since when this leader has known it. A new leader begins anew, so that a change of
/// leader gives every node its whole grace again.
#[derive(Debug, Default)]
pub struct Liveness {
    unserved: BTreeMap<NodeId, (Spell, Instant)>,
}

/// One stay of a node in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    pub state: NodeState,
    /// As the record has it: tells this stay from another in the same state, however short the time between.
    pub since_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub node: NodeId,
    pub state: NodeState,
}

impl Liveness {
    /// Judges all nodes. `served`: nodes that hold a session with any manager the leader could ask. `missing`: those that
    /// other nodes have no answer from, which cost who is not served its grace, and who is nothing.
    pub fn judge(
        &mut self,
        nodes: impl Iterator<Item = (NodeId, Spell)>,
        (served, missing): (&BTreeSet<NodeId>, &BTreeSet<NodeId>),
        (now, graces): (Instant, Graces),
    ) -> Vec<Verdict> {
        let mut still = BTreeMap::new();
        let mut verdicts = Vec::new();
        for (node, spell) in nodes {
            let Some(next) = decline(spell.state).filter(|_| !served.contains(&node)) else {
                continue;
            };
            let since = self.since(node, spell, now);
            let grace = if next == NodeState::Down { graces.down } else { graces.unknown };
            if missing.contains(&node) || now.saturating_duration_since(since) >= grace {
                verdicts.push(Verdict { node, state: next });
            }
            still.insert(node, (spell, since));
        }
        self.unserved = still;
        verdicts
    }

    fn since(&self, node: NodeId, spell: Spell, now: Instant) -> Instant {
        match self.unserved.get(&node) {
            Some((known, since)) if *known == spell => *since,
            _ => now,
        }
    }
}

/// What becomes of a node in this state that nobody serves; `None`: it stays.
fn decline(state: NodeState) -> Option<NodeState> {
    match state {
        NodeState::Ready => Some(NodeState::Unknown),
        NodeState::Unknown => Some(NodeState::Down),
        NodeState::Pending | NodeState::Down | NodeState::Disconnected => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Graces = Graces { unknown: Duration::from_secs(4), down: Duration::from_secs(6) };

    fn node(number: u8) -> NodeId {
        NodeId::from_random([number; 16])
    }

    #[test]
    fn a_node_nobody_serves_is_unknown_after_its_grace_and_down_after_another() {
        let (mut liveness, start, nobody) = (Liveness::default(), Instant::now(), BTreeSet::new());
        let mut judge = |state, seconds| {
            let now = start + Duration::from_secs(seconds);
            liveness.judge([(node(1), spell(state, 1))].into_iter(), (&nobody, &nobody), (now, GRACE))
        };
        assert_eq!(judge(NodeState::Ready, 0), []);
        assert_eq!(judge(NodeState::Ready, 3), []);
        assert_eq!(judge(NodeState::Ready, 4), [Verdict { node: node(1), state: NodeState::Unknown }]);
        assert_eq!(judge(NodeState::Unknown, 5), []);
        assert_eq!(judge(NodeState::Unknown, 10), []);
        assert_eq!(judge(NodeState::Unknown, 11), [Verdict { node: node(1), state: NodeState::Down }]);
        assert_eq!(judge(NodeState::Down, 100), []);
    }

    fn spell(state: NodeState, since_ms: u64) -> Spell {
        Spell { state, since_ms }
    }

    /// Found by the benchmark: a node lost again at once was down at once.
    #[test]
    fn a_node_that_was_back_for_a_moment_has_its_whole_grace_again() {
        let (mut liveness, start, nobody) = (Liveness::default(), Instant::now(), BTreeSet::new());
        let mut judge = |since_ms, seconds| {
            let now = start + Duration::from_secs(seconds);
            let unknown = spell(NodeState::Unknown, since_ms);
            liveness.judge([(node(1), unknown)].into_iter(), (&nobody, &nobody), (now, GRACE)).len()
        };
        assert_eq!([judge(1, 0), judge(1, 6)], [0, 1]);
        assert_eq!([judge(2, 7), judge(2, 12), judge(2, 13)], [0, 0, 1]);
    }

    #[test]
    fn a_session_anywhere_gives_the_whole_grace_again() {
        let (mut liveness, start) = (Liveness::default(), Instant::now());
        let (nobody, someone) = (BTreeSet::new(), BTreeSet::from([node(1)]));
        let mut judge = |served: &BTreeSet<NodeId>, seconds| {
            let now = start + Duration::from_secs(seconds);
            liveness.judge(
                [(node(1), spell(NodeState::Ready, 1))].into_iter(),
                (served, &BTreeSet::new()),
                (now, GRACE),
            )
        };
        assert_eq!(judge(&nobody, 0), []);
        assert_eq!(judge(&someone, 3), []);
        assert_eq!(judge(&nobody, 5), []);
        assert_eq!(judge(&nobody, 8), []);
        assert_eq!(judge(&nobody, 9).len(), 1);
    }

    /// I14, I15: what other nodes say takes from nobody what a session gives.
    #[test]
    fn who_is_missed_by_others_has_no_grace_without_a_session_and_loses_nothing_with_one() {
        let (mut liveness, now, nobody) = (Liveness::default(), Instant::now(), BTreeSet::new());
        let missed = BTreeSet::from([node(1)]);
        let mut judge = |state, served| {
            let nodes = [(node(1), spell(state, 1)), (node(2), spell(state, 1))].into_iter();
            liveness.judge(nodes, (served, &missed), (now, GRACE))
        };
        assert_eq!(judge(NodeState::Ready, &missed), []);
        let verdict = |state| [Verdict { node: node(1), state }];
        assert_eq!(judge(NodeState::Ready, &nobody), verdict(NodeState::Unknown));
        assert_eq!(judge(NodeState::Unknown, &nobody), verdict(NodeState::Down));
        assert_eq!(judge(NodeState::Down, &nobody), []);
        assert_eq!(judge(NodeState::Disconnected, &nobody), []);
    }

    #[test]
    fn nodes_that_never_came_or_said_good_bye_stay_as_they_are() {
        let (mut liveness, start, nobody) = (Liveness::default(), Instant::now(), BTreeSet::new());
        let nodes = [(node(1), spell(NodeState::Pending, 1)), (node(2), spell(NodeState::Disconnected, 1))];
        for seconds in 0..20 {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(liveness.judge(nodes.into_iter(), (&nobody, &nobody), (now, GRACE)), []);
        }
    }
}
