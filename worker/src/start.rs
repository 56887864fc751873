//! Putting the worker together, and taking it apart. Knows: the order. Must not know: what the parts do.

use crate::assignment::{self, Assignments};
use crate::calls::Calls;
use crate::config::Here;
use crate::dial::Dial;
use crate::dns::Forwarder;
use crate::esp::Esp;
use crate::handle::WorkerHandle;
use crate::host::{Host, TURNS};
use crate::kernel::FactsWatch;
use crate::reconcile::{ReconcileConfig, Reconciler};
use crate::sandbox::{self, Store};
use crate::session::{self, Managers, Registration};
use crate::two_slots::TwoSlots;
use crate::{WorkerConfig, WorkerError, gossip, loops};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;
use swarm_netns::NetNs;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Operations under way have this long to end when the worker stops; afterwards the files are flushed.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// The part of a daemon that joins this host's sandboxes to the cluster's networks.
pub struct Worker;

/// What stops what.
pub(crate) struct Tasks {
    pub(crate) session: CancellationToken,
    /// Ends the writers of files: after everything that may still change something.
    flush: CancellationToken,
    writers: TaskTracker,
}

impl Worker {
    /// Loads what is on disk, adopts what is still in the kernel, and begins to look for a manager. Works without one
    /// from the last good assignment. Call inside a tokio runtime.
    pub async fn start(config: WorkerConfig, dial: Arc<dyn Dial>) -> Result<WorkerHandle, WorkerError> {
        make_folders(&config)?;
        let store = Arc::new(Store::load(config.sandboxes_file())?);
        let (file, assigned) = assignment::load(&config.assignment_file());
        let assignments = Arc::new(Assignments::new(assigned));
        let managers = Arc::new(Managers::new(&config, dial, assignments.clone()));
        let facts = FactsWatch::start(config.node, config.data_path_addr).await;
        let (stop, aims) = (CancellationToken::new(), watch::Sender::new(None));
        let host = Arc::new(Host {
            esp: Esp::start(aims.subscribe(), stop.clone()),
            aims,
            assignments,
            calls: Calls::new(managers.clone()),
            managers,
            store,
            live: Mutex::new(HashMap::new()),
            reconciler: Reconciler::start(ReconcileConfig::new(config.netns_dir())),
            facts: facts.map_err(WorkerError::Internal)?,
            liveness: Arc::default(),
            here: watch::Sender::new(Here { addr: config.addr, data_path_addr: config.data_path_addr }),
            trusted: watch::Sender::new(None),
            trouble: watch::Sender::default(),
            queries: Arc::default(),
            forwarder: Forwarder::new(config.resolv_conf.clone()),
            own_netns: NetNs::current()?.id(),
            programmed: watch::Sender::new(0),
            stop,
            tasks: TaskTracker::new(),
            runtime: tokio::runtime::Handle::current(),
            turns: Semaphore::new(TURNS),
            order: Mutex::new(()),
            config: Arc::new(config),
        });
        let tasks = Arc::new(Tasks::begin(&host, file));
        sandbox::adopt(&host).await;
        begin_loops(&host, &tasks);
        Ok(WorkerHandle { host, tasks })
    }
}

fn begin_loops(host: &Arc<Host>, tasks: &Tasks) {
    host.tasks.spawn(loops::drive(host.clone()));
    host.tasks.spawn(loops::release(host.clone()));
    host.tasks.spawn(gossip::run(host.clone()));
    host.tasks.spawn(sandbox::watch_paths(host.clone()));
    let store = host.store.clone();
    let registration = Registration {
        config: host.config.clone(),
        here: host.here.subscribe(),
        held: Box::new(move || store.read(sandbox::held_endpoints)),
        programmed: host.programmed.subscribe(),
        trusted: host.trusted.subscribe(),
        trouble: host.trouble.subscribe(),
        unanswered: host.liveness.watch_unanswered(),
        incarnation: host.esp.incarnation.clone(),
    };
    let stop = tasks.session.clone();
    host.tasks.spawn(session::follow(host.managers.clone(), host.assignments.clone(), registration, stop));
}

impl Tasks {
    fn begin(host: &Host, file: TwoSlots) -> Self {
        let (flush, writers) = (CancellationToken::new(), TaskTracker::new());
        writers.spawn(host.store.clone().write_changes(flush.clone()));
        writers.spawn(assignment::keep(host.assignments.clone(), file, flush.clone()));
        Self { session: host.stop.child_token(), flush, writers }
    }

    /// Stops everything but the kernel. Twice is fine.
    pub(crate) async fn stop(&self, host: &Host) {
        host.stop.cancel();
        host.tasks.close();
        if tokio::time::timeout(STOP_DEADLINE, host.tasks.wait()).await.is_err() {
            tracing::warn!("{} operations were still under way", host.tasks.len());
        }
        host.reconciler.shutdown().await;
        self.flush.cancel();
        self.writers.close();
        self.writers.wait().await;
    }
}

fn make_folders(config: &WorkerConfig) -> Result<(), WorkerError> {
    for folder in [config.state_dir.join("worker"), config.netns_dir(), config.run_dir.join("sandboxes")] {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder).map_err(|e| {
            WorkerError::Internal(format!("could not make the folder {}: {e}", folder.display()))
        })?;
    }
    Ok(())
}

/// After `leave`: nothing of the worker stays. Errors are told and passed over.
pub(crate) fn remove_files(config: &WorkerConfig) {
    for folder in [config.state_dir.join("worker"), config.run_dir.join("sandboxes"), config.netns_dir()] {
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("could not remove {}: {e}", folder.display());
            }
            _ => {}
        }
    }
}
