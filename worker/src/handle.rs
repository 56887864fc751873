//! What the daemon asks of the worker on this host. Knows: who does what. Must not know: how it is done.

use crate::esp;
use crate::farewell::{self, Left};
use crate::gossip::Hearing;
use crate::host::Host;
use crate::sandbox::{self, view, view_all};
use crate::start::Tasks;
use crate::{Here, Tunnel, WorkerError, WorkerStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swarm_gossip::Verdict;
use swarm_model::{Lineage, NodeId, Peer, Role, SandboxId};
use swarm_overlay::out_of_reach;
use swarm_proto::v1;
use tokio::sync::watch;

/// The managers' time to hear the good-bye; they notice the silence anyway.
const LEAVE_DEADLINE: Duration = Duration::from_secs(5);
/// So long the end of a sandbox waits for the managers to have taken its endpoints back.
const RELEASE_WAIT: Duration = Duration::from_secs(3);

/// Cheap to clone; all clones are the same worker. An operation that was begun is ended even if its caller goes away.
#[derive(Clone)]
pub struct WorkerHandle {
    pub(crate) host: Arc<Host>,
    pub(crate) tasks: Arc<Tasks>,
}

impl WorkerHandle {
    /// First half of `run`: allocates, makes the namespace, programs it. The answer holds what the caller needs to start
    /// the command; dropped before [`PendingRun::started`], it takes everything back.
    pub async fn run(&self, create: v1::RunCreate) -> Result<PendingRun, WorkerError> {
        let host = self.host.clone();
        let prepare = async move {
            let id = sandbox::prepare(&host, create).await?;
            // From here on the guard answers for it, also when the caller is gone by now.
            let mut pending = PendingRun { host: Some(host.clone()), id, sandbox: v1::Sandbox::default() };
            pending.sandbox = view(&host, id).ok_or_else(ended)?;
            Ok(pending)
        };
        self.host.finish(prepare).await
    }

    /// Attaches a namespace that somebody else made. Answers when the local side is ready. The same name and namespace
    /// again, with another network, connects it to that one too.
    pub async fn attach(&self, request: v1::AttachRequest) -> Result<v1::Sandbox, WorkerError> {
        let id = self.host.finish(sandbox::attach(self.host.clone(), request)).await?;
        view(&self.host, id).ok_or_else(ended)
    }

    /// Takes an attached sandbox off one network, or off all of them, which ends it.
    pub async fn detach(&self, request: v1::DetachRequest) -> Result<(), WorkerError> {
        self.host.finish(sandbox::detach(self.host.clone(), request)).await
    }

    /// Connects a sandbox to one more network (`eth1`…).
    pub async fn connect(&self, request: v1::ConnectRequest) -> Result<v1::Sandbox, WorkerError> {
        let id = self.host.finish(sandbox::connect(self.host.clone(), request)).await?;
        view(&self.host, id).ok_or_else(ended)
    }

    pub async fn disconnect(&self, request: v1::DisconnectRequest) -> Result<(), WorkerError> {
        self.host.finish(sandbox::disconnect(self.host.clone(), request)).await
    }

    /// Sandboxes by name; `all` shows those being made or taken down too.
    pub fn list(&self, all: bool) -> Vec<v1::Sandbox> {
        let mut sandboxes = self.host.store.read(|contents| {
            let shown = contents.sandboxes.values().filter(|s| all || s.phase.is_settled());
            shown.cloned().collect::<Vec<_>>()
        });
        sandboxes.sort_by(|one, other| one.name.cmp(&other.name));
        view_all(&self.host, &sandboxes)
    }

    /// By full id, exact name, or unique prefix of an id.
    pub fn get(&self, reference: &str) -> Result<v1::Sandbox, WorkerError> {
        let id = self.host.store.read(|c| sandbox::select(c.sandboxes.values(), reference).map(|s| s.id))?;
        view(&self.host, id).ok_or_else(ended)
    }

    /// Ends a sandbox; a running one only with `force`. Returns its id.
    pub async fn remove(&self, reference: &str, force: bool) -> Result<String, WorkerError> {
        self.host.finish(sandbox::remove(self.host.clone(), reference.to_owned(), force)).await
    }

    /// Returns when the sandbox with this id has ended and, if managers can be reached, its endpoints are given back: what
    /// `run` waits for after its command, so that `network rm` works right after.
    pub async fn ended(&self, id: &str) {
        let Ok(id) = id.parse::<SandboxId>() else { return };
        let endpoints = self.host.store.get(id).map(|s| s.links).unwrap_or_default();
        let endpoints: Vec<_> = endpoints.iter().map(|link| link.endpoint).collect();
        let mut changes = self.host.store.watch();
        // Its guard must not live on into the next wait.
        let gone = async { drop(changes.wait_for(|_| self.host.store.get(id).is_none()).await) };
        tokio::select! {
            () = gone => drop(self.host.released(&endpoints, RELEASE_WAIT).await),
            () = self.host.stop.cancelled() => {}
        }
    }

    /// The networks of this host's assignment, and the host's own, by name.
    pub fn networks(&self) -> Vec<v1::LocalNetwork> {
        self.host.assignments.read(|assigned| sandbox::networks(self.host.config.node, assigned))
    }

    pub fn status(&self) -> WorkerStatus {
        let counters = self.host.reconciler.counters();
        let (names_answered, names_forwarded) = self.host.queries.counts();
        let (managers, port) =
            self.host.assignments.read(|a| (a.managers.clone(), a.defaults.data_path_port));
        let facts = self.host.facts.facts.borrow().clone();
        let out_of_reach = self.host.assignments.read(|assigned| {
            let name = |peer: &Peer| format!("{} ({})", peer.hostname, peer.data_path_addr);
            out_of_reach(assigned, &facts).into_iter().map(name).collect()
        });
        let doubted = self.host.liveness.doubted();
        let of = |wanted| doubted.iter().filter(|(_, v)| **v == wanted).map(|(node, _)| *node).collect();
        WorkerStatus {
            suspects: of(Verdict::Suspect),
            down: of(Verdict::Down),
            gossip_dropped: self.host.liveness.frames_dropped(),
            tunnels: self.tunnels(),
            revision: self.host.assignments.revision().unwrap_or_default(),
            lineage: self.host.assignments.lineage(),
            managers,
            session_manager: self.host.managers.session_manager(),
            session_error: self.host.managers.trouble(),
            is_refused: self.host.managers.is_refused(),
            clock_ahead_ms: self.host.managers.clock_ahead_ms(),
            sandboxes: self.host.store.read(|contents| contents.sandboxes.len()),
            data_path_port: if port == 0 { self.host.config.data_path_port } else { port },
            repairs: counters.repairs,
            failures: counters.failures,
            names_answered,
            names_forwarded,
            out_of_reach,
            last_error: counters.last_error.unwrap_or_else(|| self.host.esp.status.borrow().trouble.clone()),
        }
    }

    /// How far encryption with each peer is, with its host name.
    fn tunnels(&self) -> Vec<Tunnel> {
        let status = self.host.esp.status.borrow().clone();
        let name = |node: &NodeId| {
            self.host.assignments.read(|a| a.peers.get(node).map(|peer| peer.hostname.clone()))
        };
        let tunnel = |(node, state)| Tunnel { hostname: name(&node).unwrap_or_default(), node, state };
        status.peers.into_iter().map(tunnel).collect()
    }

    /// What gossip says of other nodes, as this host hears it.
    pub fn hearings(&self) -> BTreeMap<NodeId, Hearing> {
        self.host.liveness.hearings()
    }

    /// The cluster goes on in this epoch: managers of an earlier one, or of another branch, are turned down from now on.
    pub fn expect(&self, lineage: Lineage) {
        self.host.assignments.expect(lineage);
    }

    /// An operator says that the cluster went on in this epoch, though the one here came from it: until something was
    /// assigned there.
    pub fn go_back(&self, lineage: Lineage) {
        self.host.assignments.go_back(lineage);
    }

    /// The role the cluster wants for this node, once a manager has said so.
    pub fn watch_role(&self) -> watch::Receiver<Option<Role>> {
        self.host.assignments.watch_role()
    }

    /// The root CAs that count (PEM, the one that issues last), once a manager has said so.
    pub fn watch_roots(&self) -> watch::Receiver<String> {
        self.host.assignments.watch_roots()
    }

    /// The root (SHA-256 of its DER) that this node trusts and has a certificate of; its manager is told.
    pub fn set_trusted(&self, root: Option<[u8; 32]>) {
        self.host.trusted.send_if_modified(|now| std::mem::replace(now, root) != root);
    }

    /// What an operator should know of this node, wherever in the cluster he looks; its manager is told. Empty: nothing.
    pub fn set_trouble(&self, sentence: String) {
        self.host.trouble.send_if_modified(|now| {
            let changed = *now != sentence;
            *now = sentence;
            changed
        });
    }

    /// This node is found elsewhere from now on: VXLAN leaves from there, and a manager is told at once.
    pub fn moved(&self, here: Here) {
        self.host.facts.data_path_addr.send_replace(here.data_path_addr);
        self.host.here.send_if_modified(|now| std::mem::replace(now, here) != here);
    }

    /// Managers (`HOST:PORT`) to try beside those of the assignment.
    pub fn set_seeds(&self, seeds: Vec<String>) {
        self.host.managers.set_seeds(seeds);
    }

    /// A new session begins at once, and with one of these, which must be among the seeds.
    pub fn call_on(&self, addresses: Vec<String>) {
        self.host.managers.call_on(addresses);
    }

    /// Where this daemon's own manager listens (`IP:PORT`), while it is one: the session is held with it rather than with
    /// another.
    pub fn set_own_manager(&self, addr: Option<String>) {
        self.host.managers.set_own(addr);
    }

    /// Ends every sandbox (commands made here are killed), says good-bye to the managers if one answers in time, removes
    /// every kernel object and file of the worker. The handle is of no use afterwards.
    pub async fn leave(&self) -> Result<Left, WorkerError> {
        let (host, tasks) = (self.host.clone(), self.tasks.clone());
        let port = self.status().data_path_port;
        let leaving = async move {
            let sandboxes = sandbox::end_all(&host).await;
            tasks.session.cancel();
            let (farewell, reason) = farewell::of(host.calls.leave(LEAVE_DEADLINE).await);
            if !reason.is_empty() {
                tracing::warn!("leaving without a good-bye: {reason}");
            }
            let torn = host.reconciler.teardown_all().await;
            tasks.stop(&host).await;
            esp::forget(port).await;
            crate::start::remove_files(&host.config);
            let left = Left { sandboxes, farewell, reason };
            torn.map(|_| left).map_err(|e| WorkerError::Internal(e.to_string()))
        };
        // Not among the worker's own tasks: it waits for their end.
        let left = tokio::spawn(leaving).await;
        left.unwrap_or_else(|e| Err(WorkerError::Internal(format!("leaving ended early: {e}"))))
    }

    /// Stops the tasks and flushes the files; touches no kernel object.
    pub async fn shutdown(&self) {
        self.tasks.session.cancel();
        self.tasks.stop(&self.host).await;
    }
}

fn ended() -> WorkerError {
    WorkerError::Precondition("the sandbox has ended meanwhile".into())
}

/// A sandbox waiting for its command.
#[must_use]
pub struct PendingRun {
    /// `None` once it has been started: then its process answers for it.
    host: Option<Arc<Host>>,
    id: SandboxId,
    sandbox: v1::Sandbox,
}

impl PendingRun {
    pub fn sandbox(&self) -> &v1::Sandbox {
        &self.sandbox
    }

    /// Second half of `run`: the command runs as `pid`, and the sandbox ends with it. One that has ended already is
    /// answered with a sandbox in state EXITED.
    pub async fn started(mut self, pid: i32) -> Result<v1::Sandbox, WorkerError> {
        let Some(host) = self.host.clone() else { return Err(ended()) };
        let id = self.id;
        let working = host.clone();
        let started = host.finish(async move { sandbox::started(&working, id, pid).await }).await;
        if started.is_ok() {
            self.host = None;
        }
        started
    }
}

impl Drop for PendingRun {
    fn drop(&mut self) {
        let (Some(host), id) = (self.host.take(), self.id) else { return };
        let runtime = host.runtime.clone();
        let taking = host.clone();
        host.tasks.spawn_on(async move { sandbox::take_back(&taking, id).await }, &runtime);
    }
}
