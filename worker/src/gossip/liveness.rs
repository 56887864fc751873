//! What this host thinks of the others, for whoever asks: advice. Must not know how it came about.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use swarm_gossip::{Dropped, Verdict};
use swarm_model::NodeId;

#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// Of those that are not alive.
    doubted: Mutex<BTreeMap<NodeId, Verdict>>,
    round_trips: Mutex<BTreeMap<NodeId, u64>>,
    dropped: Mutex<BTreeMap<Dropped, u64>>,
}

impl Liveness {
    pub(super) fn set(&self, node: NodeId, verdict: Verdict) {
        let mut doubted = self.doubted.lock();
        match verdict {
            Verdict::Alive => drop(doubted.remove(&node)),
            Verdict::Suspect | Verdict::Down => drop(doubted.insert(node, verdict)),
        }
    }

    pub(super) fn answered(&self, node: NodeId, ms: u64) {
        self.round_trips.lock().insert(node, ms);
    }

    /// Of who is no member any more nothing is kept.
    pub(super) fn keep(&self, is_member: impl Fn(&NodeId) -> bool) {
        self.doubted.lock().retain(|node, _| is_member(node));
        self.round_trips.lock().retain(|node, _| is_member(node));
    }

    pub(super) fn dropped(&self, why: Dropped) {
        *self.dropped.lock().entry(why).or_default() += 1;
    }

    pub(crate) fn doubted(&self) -> BTreeMap<NodeId, Verdict> {
        self.doubted.lock().clone()
    }

    /// Frames that were not looked into.
    pub(crate) fn frames_dropped(&self) -> u64 {
        self.dropped.lock().values().sum()
    }
}
