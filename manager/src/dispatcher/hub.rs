//! The sessions this manager holds, and the queue of each.
//! Knows: which node holds which session, and what it still has to be told. Must not know: streams, heartbeats.

use crate::dispatcher::queue::{Next, Queue};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use swarm_model::{Change, NodeId, Revision, SessionId};
use swarm_state::{Event, State, Touched};
use tokio::sync::{Notify, watch};

/// Why a session ends from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The node opened a newer one here.
    Replaced,
    /// This manager stops.
    Stopping,
    /// This manager has not heard of the others for too long: what it says is old.
    Stale,
    /// Its disk takes no changes any more, so what it says stands still.
    Full,
    /// It hears what the others decide, and does not follow in time.
    Behind,
}

impl Ended {
    /// For the node: why, and what to do.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Replaced => "the node has opened a newer session",
            Self::Stopping => "this manager stops; the node turns to another one",
            Self::Stale => "this manager hears no majority of managers; the node turns to another one",
            Self::Full => {
                "the disk of this manager is full, and it learns of no changes; the node turns to another one"
            }
            Self::Behind => "this manager does not keep up with the others; the node turns to another one",
        }
    }
}

/// One session's side of the hub. Bounded: see [`Queue`].
#[derive(Debug)]
pub struct Outbox {
    pub session: SessionId,
    queue: Mutex<Queue>,
    news: Notify,
    node_changed: Notify,
    ended: watch::Sender<Option<Ended>>,
}

impl Outbox {
    fn new(session: SessionId, revision: Revision) -> Self {
        Self {
            session,
            queue: Mutex::new(Queue::starting_at(revision)),
            news: Notify::new(),
            node_changed: Notify::new(),
            ended: watch::Sender::new(None),
        }
    }

    pub fn take(&self) -> Next {
        self.queue.lock().take()
    }

    pub fn restart_at(&self, revision: Revision) {
        *self.queue.lock() = Queue::starting_at(revision);
    }

    /// Returns when something is waiting; wakes one waiter, and the next at once if nobody waited.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Returns when the node's own record changed.
    pub async fn node_changed(&self) {
        self.node_changed.notified().await;
    }

    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(Ended::Stopping),
            Err(_) => Ended::Stopping,
        }
    }

    fn push(&self, index: Revision, changes: Vec<Change>) {
        self.queue.lock().push(index, changes);
        self.news.notify_one();
    }

    fn end(&self, reason: Ended) {
        self.ended.send_replace(Some(reason));
    }
}

#[derive(Debug, Default)]
pub struct Hub {
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    open: BTreeMap<NodeId, Arc<Outbox>>,
    stopping: bool,
    /// Why nodes had better go to another manager.
    refused: Option<Ended>,
}

impl Hub {
    /// From now on sessions are refused for this reason, or taken. True: that is news.
    pub fn refuse(&self, reason: Option<Ended>) -> bool {
        let mut sessions = self.sessions.lock();
        std::mem::replace(&mut sessions.refused, reason) != reason
    }

    pub fn refuses(&self) -> Option<Ended> {
        self.sessions.lock().refused
    }

    /// Opens a session's queue. The node's older one here, if any, ends.
    pub fn open(&self, node: NodeId, session: SessionId, revision: Revision) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new(session, revision));
        let mut sessions = self.sessions.lock();
        if sessions.stopping {
            outbox.end(Ended::Stopping);
        }
        if let Some(older) = sessions.open.insert(node, outbox.clone()) {
            older.end(Ended::Replaced);
        }
        outbox
    }

    /// Forgets this very session. False: the node has a newer one here.
    pub fn close(&self, node: NodeId, outbox: &Arc<Outbox>) -> bool {
        let mut sessions = self.sessions.lock();
        let current = sessions.open.get(&node).is_some_and(|open| Arc::ptr_eq(open, outbox));
        if current {
            sessions.open.remove(&node);
        }
        current
    }

    pub fn holds(&self, node: NodeId) -> bool {
        self.sessions.lock().open.contains_key(&node)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.sessions.lock().open.len()
    }

    /// Ends the sessions there are now.
    pub fn end_all(&self, reason: Ended) {
        self.sessions.lock().open.values().for_each(|outbox| outbox.end(reason));
    }

    /// Ends all sessions, and each that is opened from now on.
    pub fn stop(&self) {
        let mut sessions = self.sessions.lock();
        sessions.stopping = true;
        sessions.open.values().for_each(|outbox| outbox.end(Ended::Stopping));
    }

    /// Queues what these events change for each session; called with the state they led to.
    pub fn offer(&self, state: &State, index: Revision, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let sessions = self.sessions.lock();
        if sessions.open.is_empty() {
            return;
        }
        let tell = |node: &NodeId, outbox: &Arc<Outbox>| {
            let changes = state.changes_for(node, events);
            if !changes.is_empty() {
                outbox.push(index, changes);
            }
        };
        match state.touched(events) {
            Touched::All => sessions.open.iter().for_each(|(node, outbox)| tell(node, outbox)),
            Touched::Nodes(nodes) => {
                let open = nodes.iter().filter_map(|node| sessions.open.get_key_value(node));
                open.for_each(|(node, outbox)| tell(node, outbox));
            }
        }
        for event in events {
            if let Event::NodeChanged(node) | Event::NodeRemoved(node) = event
                && let Some(outbox) = sessions.open.get(node)
            {
                outbox.node_changed.notify_one();
            }
        }
    }

    /// Makes every session begin again from the whole.
    pub fn start_over(&self) {
        for outbox in self.sessions.lock().open.values() {
            outbox.queue.lock().overflow();
            outbox.news.notify_one();
            outbox.node_changed.notify_one();
        }
    }
}
