//! The managers this worker can turn to. Knows: their addresses, and the connection in use. Must not know: what is
//! said over it.

use super::candidates::candidates;
use super::troubles::{Trouble, Troubles, Weight};
use crate::WorkerConfig;
use crate::assignment::Assignments;
use crate::dial::Dial;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;
use swarm_model::{ManagerPeer, NodeId};
use tokio::sync::watch;
use tonic::transport::Channel;

/// The manager that holds the session.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) addr: String,
    /// As it said itself; `None` from one too old to say.
    pub(crate) node: Option<NodeId>,
    pub(crate) channel: Channel,
}

/// A way to a manager: over a connection that stands, or one to be made.
pub(crate) struct Route {
    pub(crate) addr: String,
    pub(crate) channel: Option<Channel>,
}

pub(crate) struct Managers {
    dial: Arc<dyn Dial>,
    node: NodeId,
    seeds: Mutex<Vec<String>>,
    /// Addresses an operator named: they are tried first, and at once.
    called: watch::Sender<Vec<String>>,
    assignments: Arc<Assignments>,
    own: watch::Sender<Option<String>>,
    current: watch::Sender<Option<Current>>,
    /// Why there is no session; nothing while there is one.
    troubles: Mutex<Troubles>,
    /// The same, where no address is to blame; empty while there is a session.
    otherwise: Mutex<String>,
    clock_ahead_ms: Mutex<Option<i64>>,
    /// The session this process had last; empty before its first. A copy of this node's files does not know it.
    last_session: Mutex<String>,
}

impl Managers {
    pub(crate) fn new(config: &WorkerConfig, dial: Arc<dyn Dial>, assignments: Arc<Assignments>) -> Self {
        Self {
            dial,
            node: config.node,
            seeds: Mutex::new(config.seeds.clone()),
            called: watch::Sender::new(Vec::new()),
            assignments,
            own: watch::Sender::new(None),
            current: watch::Sender::new(None),
            troubles: Mutex::default(),
            otherwise: Mutex::new("no manager has been reached yet".into()),
            clock_ahead_ms: Mutex::new(None),
            last_session: Mutex::default(),
        }
    }

    /// In the order to try them.
    pub(crate) fn candidates(&self) -> Vec<String> {
        let own = self.own.borrow().clone();
        let seeds = self.seeds.lock().clone();
        self.assignments.read(|a| candidates(self.node, own.as_deref(), &a.managers, &seeds))
    }

    /// Managers to try beside those of the assignment.
    pub(crate) fn set_seeds(&self, seeds: Vec<String>) {
        *self.seeds.lock() = seeds;
    }

    /// The next session begins at once, and with these, which are among the seeds.
    pub(crate) fn call_on(&self, addresses: Vec<String>) {
        self.called.send_replace(addresses);
    }

    pub(crate) fn watch_called(&self) -> watch::Receiver<Vec<String>> {
        self.called.subscribe()
    }

    /// The addresses that were called on last.
    pub(crate) fn called(&self) -> Vec<String> {
        self.called.borrow().clone()
    }

    /// The connection of the session, then the known managers in the order to try them; the session's own is there once
    /// more, to be dialled anew should the connection have broken.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let current = self.current.borrow().clone();
        let current = current.map(|current| Route { addr: current.addr, channel: Some(current.channel) });
        let known = self.candidates().into_iter().map(|addr| Route { addr, channel: None });
        current.into_iter().chain(known).collect()
    }

    pub(crate) async fn dial(&self, addr: &str) -> Result<Channel, String> {
        self.dial.manager(addr).await
    }

    pub(crate) fn set_own(&self, addr: Option<String>) {
        self.own.send_if_modified(|own| {
            let new = *own != addr;
            *own = addr;
            new
        });
    }

    pub(crate) fn watch_own(&self) -> watch::Receiver<Option<String>> {
        self.own.subscribe()
    }

    pub(crate) fn opened(&self, current: Current) {
        self.troubles.lock().clear();
        self.otherwise.lock().clear();
        self.current.send_replace(Some(current));
    }

    pub(crate) fn last_session(&self) -> String {
        self.last_session.lock().clone()
    }

    pub(crate) fn set_last_session(&self, session: String) {
        *self.last_session.lock() = session;
    }

    /// By the clock of the manager that was met last.
    pub(crate) fn clock_ahead_ms(&self) -> Option<i64> {
        *self.clock_ahead_ms.lock()
    }

    pub(crate) fn measured(&self, clock_ahead_ms: i64) {
        *self.clock_ahead_ms.lock() = Some(clock_ahead_ms);
    }

    /// No session, and it is nobody's fault.
    pub(crate) fn lost(&self, why: String) {
        self.current.send_replace(None);
        *self.otherwise.lock() = why;
    }

    /// No session with this one.
    pub(crate) fn failed(&self, addr: &str, trouble: Trouble) {
        self.lost(trouble.said.clone());
        self.troubles.lock().note(addr, trouble, Instant::now());
    }

    pub(crate) fn watch_current(&self) -> watch::Receiver<Option<Current>> {
        self.current.subscribe()
    }

    /// Empty while there is a session.
    pub(crate) fn trouble(&self) -> String {
        let telling = self.troubles.lock().telling().map(|trouble| trouble.said.clone());
        telling.unwrap_or_else(|| self.otherwise.lock().clone())
    }

    /// Whether a manager has decided against this node.
    pub(crate) fn is_refused(&self) -> bool {
        self.troubles.lock().telling().is_some_and(|trouble| trouble.weight == Weight::Refused)
    }

    /// The node that holds the session, by its own word, or as far as the assignment tells which node has that address.
    pub(crate) fn session_manager(&self) -> Option<NodeId> {
        let (addr, node) =
            self.current.borrow().as_ref().map(|current| (current.addr.clone(), current.node))?;
        if node.is_some() {
            return node;
        }
        if self.own.borrow().as_deref() == Some(&addr) {
            return Some(self.node);
        }
        let named = |peer: &&ManagerPeer| peer.addr.to_string() == addr;
        self.assignments.read(|a| a.managers.iter().find(named).map(|peer| peer.node))
    }
}
