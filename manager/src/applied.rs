//! This manager's own copy of the cluster's state: written by Raft alone, read by everybody.
//! Knows: the lock around the state, and that sessions hear of each change in order. Must not know: Raft, RPCs.

use crate::authorise::Roster;
use crate::dispatcher::hub::{Hub, Outbox};
use crate::news::{News, Watcher};
use parking_lot::RwLock;
use std::sync::Arc;
use swarm_model::{Assigned, ClusterId, ClusterSettings, Node, NodeId, SessionId, User, UserId};
use swarm_raft::Cadence;
use swarm_state::{Entry, Event, Reply, State};
use tokio::sync::watch;

/// Readers hold the lock for a lookup, never across an await; a clone of the whole copies pointers.
#[derive(Default)]
pub struct AppliedState {
    state: RwLock<State>,
    hub: Hub,
    news: News,
    /// Counts changes of who is or is to be a manager.
    roles: watch::Sender<u64>,
    /// Counts changes of the lock of the managers' files.
    locks: watch::Sender<u64>,
    /// Of snapshots, as the cluster's settings say.
    cadence: watch::Sender<Cadence>,
}

impl AppliedState {
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read())
    }

    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    pub fn news(&self) -> &News {
        &self.news
    }

    /// Events from here on, with no change between this and what a look at the state shows before it. `None`: too many
    /// watch already.
    pub fn watch(&self) -> Option<Watcher> {
        self.news.watch(&self.state.read())
    }

    /// Applies the entry and queues what it changes for each session, before anybody sees a later state.
    pub fn apply(&self, index: u64, entry: &Entry) -> Reply {
        let mut state = self.state.write();
        let applied = swarm_state::apply(&mut state, index, entry);
        self.hub.offer(&state, index, &applied.events);
        self.news.offer(&state, entry.now_ms, &applied.events);
        if applied.events.iter().any(concerns_managers) {
            self.roles.send_modify(|count| *count += 1);
        }
        if applied.events.contains(&Event::LockChanged) {
            self.locks.send_modify(|count| *count += 1);
        }
        if applied.events.contains(&Event::DefaultsChanged) {
            self.set_cadence(&state);
        }
        applied.reply
    }

    /// Takes a snapshot's state. What lay between is not known, so every session starts over.
    pub fn replace(&self, state: State) {
        let mut current = self.state.write();
        *current = state;
        self.hub.start_over();
        self.news.start_over(&current);
        self.roles.send_modify(|count| *count += 1);
        self.locks.send_modify(|count| *count += 1);
        self.set_cadence(&current);
    }

    fn set_cadence(&self, state: &State) {
        let Some(cluster) = state.cluster() else { return };
        let ClusterSettings { snapshot_interval: interval, max_snapshots, .. } = cluster.settings;
        let keep = usize::try_from(max_snapshots).unwrap_or(usize::MAX);
        self.cadence.send_replace(Cadence { interval, keep });
    }

    /// Of snapshots; until the settings are known, the one Raft starts with.
    pub fn cadence(&self) -> watch::Receiver<Cadence> {
        self.cadence.subscribe()
    }

    /// Changes whenever the lock of the managers' files may have changed.
    pub fn watch_locks(&self) -> watch::Receiver<u64> {
        self.locks.subscribe()
    }

    /// Changes whenever it may have changed who is, or is to be, a manager.
    pub fn watch_roles(&self) -> watch::Receiver<u64> {
        self.roles.subscribe()
    }

    /// Opens the session's queue and takes the whole it begins with, with no change between the two.
    pub fn open_session(&self, node: NodeId, session: SessionId) -> (Assigned, Arc<Outbox>) {
        let state = self.state.read();
        let whole = state.assigned(&node);
        let outbox = self.hub.open(node, session, whole.revision);
        (whole, outbox)
    }

    /// The whole again, for a session that missed too much.
    pub fn start_over(&self, node: NodeId, outbox: &Outbox) -> Assigned {
        let state = self.state.read();
        let whole = state.assigned(&node);
        outbox.restart_at(whole.revision);
        whole
    }
}

fn concerns_managers(event: &Event) -> bool {
    matches!(event, Event::RoleChanged(_) | Event::NodeRemoved(_) | Event::ManagersChanged)
}

impl Roster for State {
    fn cluster(&self) -> Option<ClusterId> {
        State::cluster(self).map(|cluster| cluster.id)
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        State::node(self, &id)
    }

    fn user(&self, id: UserId) -> Option<&User> {
        Self::user(self, &id)
    }
}
