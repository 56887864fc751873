//! What `info` shows of the worker.

use swarm_model::{Lineage, ManagerPeer, NodeId, Revision};
use swarm_overlay::esp::PeerState;

/// How far encryption with one peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    pub node: NodeId,
    pub hostname: String,
    pub state: PeerState,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Of the assignment held; 0: none yet.
    pub revision: Revision,
    /// The epoch of the cluster that this host keeps to.
    pub lineage: Lineage,
    pub managers: Vec<ManagerPeer>,
    /// The manager that holds the session; `None` while there is no session.
    pub session_manager: Option<NodeId>,
    /// Why there is no session, empty while there is one.
    pub session_error: String,
    /// A manager has decided against this node: `session_error` says why.
    pub is_refused: bool,
    /// How far this host's clock is ahead of its manager's (behind: negative), when the last session began.
    pub clock_ahead_ms: Option<i64>,
    pub sandboxes: usize,
    pub data_path_port: u16,
    /// Kernel objects put back since the daemon started.
    pub repairs: u64,
    /// Steps of the reconciler that failed since the daemon started.
    pub failures: u64,
    /// Queries of sandboxes for names, since the daemon started: answered here, and passed on to the host's resolvers.
    pub names_answered: u64,
    pub names_forwarded: u64,
    /// Nodes that this host cannot send to, from where it is to where they say they are.
    pub out_of_reach: Vec<String>,
    /// Of whom gossip is not sure, and of whom it says that they are gone.
    pub suspects: Vec<NodeId>,
    pub down: Vec<NodeId>,
    /// Gossip's frames that were dropped before they were read.
    pub gossip_dropped: u64,
    /// To those that encrypted networks are shared with.
    pub tunnels: Vec<Tunnel>,
    /// The last error of the reconciler, empty while the kernel matches.
    pub last_error: String,
}
