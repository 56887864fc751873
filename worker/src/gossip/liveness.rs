//! What this host thinks of the others, for whoever asks: advice. Must not know how it came about.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use swarm_gossip::{Dropped, Verdict};
use swarm_model::NodeId;
use tokio::sync::watch;

/// What gossip says of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hearing {
    pub verdict: Verdict,
    /// How long its last answer took; `None`: this host has not asked it yet, or it gives none.
    pub round_trip: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// Of whom anything was heard, and how long the last answer took.
    met: Mutex<BTreeMap<NodeId, Option<Duration>>>,
    /// Of those that are not alive.
    doubted: Mutex<BTreeMap<NodeId, Verdict>>,
    /// Those this host asked itself, in vain: what it tells its manager.
    unanswered: watch::Sender<BTreeSet<NodeId>>,
    dropped: Mutex<BTreeMap<Dropped, u64>>,
}

impl Liveness {
    pub(super) fn set(&self, node: NodeId, verdict: Verdict) {
        let mut doubted = self.doubted.lock();
        match verdict {
            Verdict::Alive => {
                doubted.remove(&node);
                self.unanswered.send_if_modified(|nodes| nodes.remove(&node));
            }
            Verdict::Suspect | Verdict::Down => drop(doubted.insert(node, verdict)),
        }
    }

    pub(super) fn met(&self, node: NodeId) {
        self.met.lock().entry(node).or_default();
    }

    pub(super) fn answered(&self, node: NodeId, after: Duration) {
        self.met.lock().insert(node, Some(after));
    }

    /// Of all that is known of others. Who is not in it may be anything.
    pub(crate) fn hearings(&self) -> BTreeMap<NodeId, Hearing> {
        let doubted = self.doubted();
        let alive = |(node, round_trip): (&NodeId, &Option<Duration>)| {
            (*node, Hearing { verdict: Verdict::Alive, round_trip: *round_trip })
        };
        let mut hearings: BTreeMap<_, _> = self.met.lock().iter().map(alive).collect();
        for (node, verdict) in doubted {
            let before = hearings.get(&node).and_then(|hearing| hearing.round_trip);
            let round_trip = before.filter(|_| verdict != Verdict::Down);
            hearings.insert(node, Hearing { verdict, round_trip });
        }
        hearings
    }

    pub(super) fn missed(&self, node: NodeId) {
        self.unanswered.send_if_modified(|nodes| nodes.insert(node));
    }

    /// Of who is no member any more nothing is kept.
    pub(super) fn keep(&self, is_member: impl Fn(&NodeId) -> bool) {
        self.doubted.lock().retain(|node, _| is_member(node));
        self.met.lock().retain(|node, _| is_member(node));
        self.unanswered.send_if_modified(|nodes| {
            let before = nodes.len();
            nodes.retain(&is_member);
            nodes.len() != before
        });
    }

    pub(super) fn dropped(&self, why: Dropped) {
        *self.dropped.lock().entry(why).or_default() += 1;
    }

    pub(crate) fn watch_unanswered(&self) -> watch::Receiver<BTreeSet<NodeId>> {
        self.unanswered.subscribe()
    }

    pub(crate) fn is_doubted(&self, node: &NodeId) -> bool {
        self.doubted.lock().contains_key(node)
    }

    pub(crate) fn doubted(&self) -> BTreeMap<NodeId, Verdict> {
        self.doubted.lock().clone()
    }

    /// Frames that were not looked into.
    pub(crate) fn frames_dropped(&self) -> u64 {
        self.dropped.lock().values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_who_was_not_heard_of_and_the_dead_answer_in_no_time() {
        let (liveness, ms) = (Liveness::default(), Duration::from_millis);
        let node = |number| NodeId::from_random([number; 16]);
        (1..=3).for_each(|number| liveness.met(node(number)));
        liveness.answered(node(1), ms(3));
        liveness.answered(node(2), ms(2));
        liveness.set(node(1), Verdict::Suspect);
        liveness.set(node(2), Verdict::Down);
        liveness.set(node(4), Verdict::Down);
        let hearing = |verdict, round_trip| Some(Hearing { verdict, round_trip });
        let found = liveness.hearings();
        assert_eq!(found.get(&node(1)).copied(), hearing(Verdict::Suspect, Some(ms(3))));
        assert_eq!(found.get(&node(2)).copied(), hearing(Verdict::Down, None));
        assert_eq!(found.get(&node(3)).copied(), hearing(Verdict::Alive, None));
        assert_eq!(found.get(&node(4)).copied(), hearing(Verdict::Down, None));
        assert_eq!(found.get(&node(5)), None);
        liveness.keep(|member| *member == node(3));
        assert_eq!(liveness.hearings().len(), 1);
    }
}
