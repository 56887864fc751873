//! What this host thinks of the others, for whoever asks: advice. Must not know how it came about.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use swarm_gossip::{Dropped, Verdict};
use swarm_model::NodeId;
use tokio::sync::watch;

#[derive(Debug, Default)]
pub(crate) struct Liveness {
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

    pub(super) fn missed(&self, node: NodeId) {
        self.unanswered.send_if_modified(|nodes| nodes.insert(node));
    }

    /// Of who is no member any more nothing is kept.
    pub(super) fn keep(&self, is_member: impl Fn(&NodeId) -> bool) {
        self.doubted.lock().retain(|node, _| is_member(node));
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
