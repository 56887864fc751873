//! What the daemon asks of the worker on this host. Knows: who does what. Must not know: how it is done.

use crate::dial::Dial;
use crate::{WorkerConfig, WorkerError};
use std::sync::Arc;
use swarm_model::{ManagerPeer, NodeId, Revision};
use swarm_proto::v1;

/// The part of a daemon that joins this host's sandboxes to the cluster's networks.
pub struct Worker;

impl Worker {
    /// Loads what is on disk, adopts what is still in the kernel, and begins to look for a manager. Works without
    /// one from the last good assignment. Call inside a tokio runtime.
    pub async fn start(config: WorkerConfig, dial: Arc<dyn Dial>) -> Result<WorkerHandle, WorkerError> {
        let _ = (config, dial);
        Err(WorkerError::Unavailable("the worker is not wired yet".into()))
    }
}

/// What `info` shows of the worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerStatus {
    pub revision: Revision,
    pub managers: Vec<ManagerPeer>,
    /// The manager that holds the session; `None` while there is no session.
    pub session_manager: Option<NodeId>,
    /// Why there is no session, empty while there is one.
    pub session_error: String,
    pub sandboxes: usize,
    pub data_path_port: u16,
    /// Kernel objects put back since the daemon started.
    pub repairs: u64,
    /// The last error of the reconciler, empty while the kernel matches.
    pub last_error: String,
}

/// Cheap to clone; all clones are the same worker.
#[derive(Clone)]
pub struct WorkerHandle {}

impl WorkerHandle {
    /// First half of `run`: allocates, makes the namespace, programs it. The answer is what the caller needs to start
    /// the command; drop it before [`PendingRun::started`] and everything is taken back.
    pub async fn run(&self, create: v1::RunCreate) -> Result<PendingRun, WorkerError> {
        let _ = create;
        Err(unwired())
    }

    /// Attaches a namespace that somebody else made. Answers when the local side is ready.
    pub async fn attach(&self, request: v1::AttachRequest) -> Result<v1::Sandbox, WorkerError> {
        let _ = request;
        Err(unwired())
    }

    /// Takes an attached sandbox off one network, or off all of them, which ends it.
    pub async fn detach(&self, request: v1::DetachRequest) -> Result<(), WorkerError> {
        let _ = request;
        Err(unwired())
    }

    pub async fn connect(&self, request: v1::ConnectRequest) -> Result<v1::Sandbox, WorkerError> {
        let _ = request;
        Err(unwired())
    }

    pub async fn disconnect(&self, request: v1::DisconnectRequest) -> Result<(), WorkerError> {
        let _ = request;
        Err(unwired())
    }

    /// Sandboxes by name; `all` shows those being made or taken down too.
    pub fn list(&self, all: bool) -> Vec<v1::Sandbox> {
        let _ = all;
        Vec::new()
    }

    /// By full id, exact name, or unique prefix of an id.
    pub fn get(&self, reference: &str) -> Result<v1::Sandbox, WorkerError> {
        Err(WorkerError::NotFound { what: "sandbox", reference: reference.into() })
    }

    /// Ends a sandbox; a running one only with `force`. Returns its id.
    pub async fn remove(&self, reference: &str, force: bool) -> Result<String, WorkerError> {
        let _ = (reference, force);
        Err(unwired())
    }

    /// The networks of this host's assignment, and the host's own.
    pub fn networks(&self) -> Vec<v1::LocalNetwork> {
        Vec::new()
    }

    pub fn status(&self) -> WorkerStatus {
        WorkerStatus::default()
    }

    /// Where this daemon's own manager listens, while it is one: the session is held with it rather than with another.
    pub fn set_own_manager(&self, addr: Option<String>) {
        let _ = addr;
    }

    /// Ends every sandbox, says good-bye to the managers (if one answers in time), removes every kernel object and file
    /// of the worker. The handle is of no use afterwards.
    pub async fn leave(&self) -> Result<(), WorkerError> {
        Err(unwired())
    }

    /// Stops the tasks and flushes the files; touches no kernel object.
    pub async fn shutdown(&self) {}
}

fn unwired() -> WorkerError {
    WorkerError::Unavailable("the worker is not wired yet".into())
}

/// A sandbox waiting for its command.
pub struct PendingRun {
    sandbox: v1::Sandbox,
}

impl PendingRun {
    pub fn sandbox(&self) -> &v1::Sandbox {
        &self.sandbox
    }

    /// Second half of `run`: the command runs as `pid`, and the sandbox ends with it.
    pub async fn started(self, pid: i32) -> Result<v1::Sandbox, WorkerError> {
        let _ = pid;
        Err(unwired())
    }
}
