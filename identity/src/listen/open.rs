//! Which connections are open, by node, so that they can be cut. Must not know why they are.

use super::crowd::Crowd;
use super::limits::{Gate, Limits};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use swarm_model::NodeId;
use tokio_util::sync::CancellationToken;

/// What is open at one port. Clones are the same.
#[derive(Clone)]
pub struct Connections {
    pub(super) handshakes: Arc<Crowd>,
    pub(super) strangers: Arc<Gate>,
    pub(super) members: Arc<Gate>,
    nodes: Arc<Mutex<HashMap<NodeId, Node>>>,
    all: CancellationToken,
    per_node: usize,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    accepted: AtomicU64,
    refused: AtomicU64,
}

struct Node {
    cut: CancellationToken,
    open: usize,
}

/// How much is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCounts {
    pub handshakes: usize,
    pub strangers: usize,
    pub members: usize,
    /// Since the port was bound: those who got through their handshake, and those who did not.
    pub accepted: u64,
    pub refused: u64,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            handshakes: Crowd::new(limits.handshakes),
            strangers: Gate::new(limits.strangers),
            members: Gate::new(limits.members),
            nodes: Arc::default(),
            all: CancellationToken::new(),
            per_node: limits.per_node,
            tally: Arc::default(),
        }
    }

    pub fn counts(&self) -> OpenCounts {
        OpenCounts {
            handshakes: self.handshakes.count(),
            strangers: self.strangers.count(),
            members: self.members.count(),
            accepted: self.tally.accepted.load(Ordering::Relaxed),
            refused: self.tally.refused.load(Ordering::Relaxed),
        }
    }

    pub(super) fn tally(&self, is_in: bool) {
        let count = if is_in { &self.tally.accepted } else { &self.tally.refused };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Cuts every open connection of a node, in the middle of whatever it does. A node whose certificate is still
    /// valid may connect again: that it may do nothing there is the permission table's matter.
    pub fn close_node(&self, node: NodeId) {
        // Cancelled under the lock: `Registered` tells by it whether the entry is still its own.
        let mut nodes = self.nodes.lock();
        if let Some(entry) = nodes.remove(&node) {
            entry.cut.cancel();
        }
    }

    /// Cuts every connection that is open now, and every one that still comes.
    pub fn close_all(&self) {
        let mut nodes = self.nodes.lock();
        nodes.clear();
        self.all.cancel();
    }

    /// `None` when the node has as many as one may have.
    pub(super) fn register(&self, node: Option<NodeId>) -> Option<Registered> {
        let Some(node) = node else {
            return Some(Registered { of: self.clone(), node, cut: self.all.child_token() });
        };
        let mut nodes = self.nodes.lock();
        let entry = nodes.entry(node).or_insert_with(|| Node { cut: self.all.child_token(), open: 0 });
        if entry.open >= self.per_node {
            return None;
        }
        entry.open += 1;
        Some(Registered { of: self.clone(), node: Some(node), cut: entry.cut.clone() })
    }
}

/// One open connection; forgotten when dropped.
pub(super) struct Registered {
    of: Connections,
    node: Option<NodeId>,
    pub(super) cut: CancellationToken,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let Some(node) = self.node else { return };
        let mut nodes = self.of.nodes.lock();
        // Cut ones were forgotten by `close_node`; the entry there now is that of newer connections.
        if self.cut.is_cancelled() {
            return;
        }
        if let Some(entry) = nodes.get_mut(&node) {
            entry.open = entry.open.saturating_sub(1);
            if entry.open == 0 {
                nodes.remove(&node);
            }
        }
    }
}
