//! Everything the worker has in hand on this host, and the two things all its parts do with it: state what is
//! desired, and give endpoints back. Knows: which part is where. Must not know: the order of any one operation.

use crate::assignment::Assignments;
use crate::calls::Calls;
use crate::config::Here;
use crate::dns::{Forwarder, Queries};
use crate::esp::{Aim, Esp};
use crate::gossip::Liveness;
use crate::kernel::FactsWatch;
use crate::reconcile::{ReconcilerHandle, Submitted};
use crate::sandbox::{Live, Sandbox, Store};
use crate::session::Managers;
use crate::{WorkerConfig, WorkerError};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{DnsName, EndpointId, NetworkId, Revision, SandboxId};
use swarm_netns::NsId;
use swarm_overlay::{Desired, LocalSandbox};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A disk slower than this delays no attach further; a restart then asks a manager first.
const SAVED_DEADLINE: Duration = Duration::from_millis(500);
/// Sandboxes begun at a time: enough to share one flush of the managers' log, few enough that each is done in time where
/// the processor is busy with other things.
pub(crate) const TURNS: usize = 32;
/// Shorter than what whoever asked waits.
const TURN_DEADLINE: Duration = Duration::from_secs(15);

pub(crate) struct Host {
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) assignments: Arc<Assignments>,
    pub(crate) managers: Arc<Managers>,
    pub(crate) calls: Calls,
    pub(crate) store: Arc<Store>,
    pub(crate) live: Mutex<HashMap<SandboxId, Arc<Live>>>,
    pub(crate) reconciler: ReconcilerHandle,
    pub(crate) facts: FactsWatch,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) esp: Esp,
    /// What is to be encrypted; `None`: nothing is known of it yet, and all stays as it is.
    pub(crate) aims: watch::Sender<Option<Arc<Aim>>>,
    /// Where this node is found now.
    pub(crate) here: watch::Sender<Here>,
    /// The root whose certificate this node uses, to be told to its manager.
    pub(crate) trusted: watch::Sender<Option<[u8; 32]>>,
    /// What an operator should know of this node, to be told to its manager; empty: nothing.
    pub(crate) trouble: watch::Sender<String>,
    pub(crate) forwarder: Arc<Forwarder>,
    pub(crate) queries: Arc<Queries>,
    /// The daemon's own namespace is nobody's sandbox.
    pub(crate) own_netns: NsId,
    /// The revision the kernel matches; 0: none yet.
    pub(crate) programmed: watch::Sender<Revision>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// For work begun where no runtime is at hand, as in a drop.
    pub(crate) runtime: tokio::runtime::Handle,
    /// So many sandboxes are begun at a time: the others wait here, not in deadlines that run out together.
    pub(crate) turns: Semaphore,
    /// Held from looking at what is to be until it is submitted: the newest submission must be the newest look.
    pub(crate) order: Mutex<()>,
}

impl Host {
    /// States anew what this host should look like. `None` while there is nothing to go by: then nothing is touched.
    pub(crate) fn submit(&self) -> Option<Submitted> {
        let _order = self.order.lock();
        if !self.assignments.may_act() {
            return None;
        }
        // A sandbox whose namespace is not in hand (yet, or any more) has no place where anything could be put.
        let in_hand: HashSet<SandboxId> = self.live.lock().keys().copied().collect();
        let sandboxes = self.store.read(|contents| {
            let here = |s: &&Sandbox| s.phase.is_desired() && in_hand.contains(&s.id);
            let desired = contents.sandboxes.values().filter(here);
            desired.map(|sandbox| self.local(sandbox)).collect::<Vec<_>>()
        });
        let facts = self.facts.facts.borrow().clone();
        let (desired, aim) = self
            .assignments
            .read(|assigned| (Desired::derive(assigned, &sandboxes, &facts), Aim::of(assigned, &facts)));
        self.aims.send_if_modified(|held| {
            let news = held.as_deref() != Some(&aim);
            if news {
                *held = Some(Arc::new(aim));
            }
            news
        });
        Some(self.reconciler.submit(Arc::new(desired)))
    }

    fn local(&self, sandbox: &Sandbox) -> LocalSandbox {
        let interface = |link: &crate::sandbox::Link| (link.endpoint, Arc::from(link.ifname.as_str()));
        LocalSandbox {
            id: sandbox.id,
            netns: Arc::from(self.config.netns_of(sandbox.id).to_string_lossy().as_ref()),
            interfaces: sandbox.links.iter().map(interface).collect(),
            gateway: sandbox.gateway,
        }
    }

    /// States what is desired and waits until this sandbox's part of it holds, in the kernel and in the file a restart
    /// begins with.
    pub(crate) async fn program(&self, sandbox: SandboxId) -> Result<(), WorkerError> {
        self.refuse_unencrypted(sandbox).await?;
        match self.submit() {
            None => Err(WorkerError::Unavailable("no assignment has come from a manager yet".into())),
            Some(submitted) => {
                let revision = self.assignments.revision().unwrap_or_default();
                let (programmed, saved) =
                    tokio::join!(submitted.of(sandbox), self.assignments.saved(revision, SAVED_DEADLINE));
                if !saved {
                    tracing::warn!("the assignment at revision {revision} is not on disk yet");
                }
                programmed.map_err(|e| WorkerError::Internal(e.to_string()))?;
                self.assignments.zones.reveal_own(sandbox);
                Ok(())
            }
        }
    }

    /// A sandbox on an encrypted network that this kernel cannot encrypt does not come to be: nothing of such a network is
    /// ever built here.
    async fn refuse_unencrypted(&self, sandbox: SandboxId) -> Result<(), WorkerError> {
        let ipv4 = {
            let facts = self.facts.facts.borrow();
            if facts.lacks_esp.is_none() {
                return Ok(());
            }
            facts.data_path_addr.is_ipv4()
        };
        let Some(name) = self.encrypted_network(sandbox) else { return Ok(()) };
        // What was missing may have been mended since: modules were installed.
        let lacks = tokio::task::spawn_blocking(move || crate::esp::lacks(ipv4)).await;
        match lacks.map_err(|e| WorkerError::Internal(e.to_string()))? {
            None if self.facts.can_encrypt_now().await => Ok(()),
            None => Err(WorkerError::Unavailable(format!(
                "network {name} is encrypted, and this host has only just come to be able to: try again"
            ))),
            Some(lacks) => Err(WorkerError::Precondition(format!(
                "network {name} is encrypted, and this host cannot encrypt: {lacks}"
            ))),
        }
    }

    /// One that the sandbox is to be on.
    fn encrypted_network(&self, sandbox: SandboxId) -> Option<DnsName> {
        let on: Vec<NetworkId> = self.store.get(sandbox).iter().flat_map(Sandbox::networks).collect();
        self.assignments.read(|assigned| {
            let all = on.iter().filter_map(|id| assigned.networks.get(id));
            all.filter(|network| network.spec.encrypted).map(|network| network.name().clone()).next()
        })
    }

    /// States what is desired and waits until what was taken out of it is gone. Errors are told and passed over: taking
    /// down goes on, and the reconciler goes on trying.
    pub(crate) async fn unprogram(&self, sandbox: SandboxId) {
        const DEADLINE: Duration = Duration::from_secs(20);
        let Some(submitted) = self.submit() else { return };
        match tokio::time::timeout(DEADLINE, submitted.all()).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("taking down sandbox {}: {e}", sandbox.short()),
            Err(_) => tracing::warn!("taking down sandbox {} takes long", sandbox.short()),
        }
    }

    /// Waits for the others that are being begun.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, WorkerError> {
        match tokio::time::timeout(TURN_DEADLINE, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(WorkerError::Unavailable(format!(
                "{TURNS} others are being started on this host, and the turn did not come within {} s: try again",
                TURN_DEADLINE.as_secs()
            ))),
        }
    }

    pub(crate) fn live(&self, id: SandboxId) -> Option<Arc<Live>> {
        self.live.lock().get(&id).cloned()
    }

    /// Waits until the managers have taken back these endpoints; false when they did not in time, and then it goes on
    /// in the background.
    pub(crate) async fn released(&self, ids: &[EndpointId], within: Duration) -> bool {
        let mut changes = self.store.watch();
        let done = changes
            .wait_for(|_| self.store.read(|contents| !ids.iter().any(|id| contents.releasing.contains(id))));
        tokio::time::timeout(within, done).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Runs an operation to its end even if whoever asked for it goes away meanwhile.
    pub(crate) async fn finish<T, F>(&self, work: F) -> Result<T, WorkerError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, WorkerError>> + Send + 'static,
    {
        let ended = self.tasks.spawn(work).await;
        ended.unwrap_or_else(|e| Err(WorkerError::Internal(format!("the operation ended early: {e}"))))
    }
}
