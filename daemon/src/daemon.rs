//! Whether this host is outside any cluster, waiting to join one, or a member; and which parts run while it is.
//! Knows the three phases and how to pass from one to the next; must not know what the parts do.

use crate::args::Config;
use crate::join::Joining;
use crate::lock::{self, Locked};
use crate::running::{ManagerControl, Running};
use crate::state_dir::StateDir;
use anyhow::Context;
use parking_lot::RwLock;
use std::sync::Arc;
use swarm_manager::LocalAudit;
use swarm_model::Role;
use swarm_worker::WorkerHandle;
use tokio::sync::{Mutex, MutexGuard};
use tonic::Status;

pub struct Daemon {
    pub config: Config,
    pub state: StateDir,
    /// Of the verbs that concern this host.
    pub audit: LocalAudit,
    /// `init`, `join` and `leave` one at a time.
    turn: Mutex<()>,
    phase: RwLock<Phase>,
    broken: tokio::sync::watch::Sender<Option<String>>,
}

#[derive(Clone)]
pub enum Phase {
    /// `last_error` says how the last join ended, if it ended badly after its caller had gone.
    Outside {
        last_error: String,
    },
    Joining(Arc<Joining>),
    Member(Arc<Running>),
    /// A manager whose files are locked.
    Locked(Arc<Locked>),
}

impl Daemon {
    pub fn new(config: Config) -> Self {
        Self {
            state: StateDir::new(&config.state_dir),
            audit: LocalAudit::start(config.state_dir.join("audit")),
            config,
            turn: Mutex::new(()),
            phase: RwLock::new(Phase::Outside { last_error: String::new() }),
            broken: tokio::sync::watch::Sender::new(None),
        }
    }

    /// Held by whoever takes this host into a cluster or out of one.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub fn phase(&self) -> Phase {
        self.phase.read().clone()
    }

    /// As a member; from here on this host does what the cluster wants of it.
    pub fn enter_member(self: &Arc<Self>, running: Arc<Running>) {
        tokio::spawn(crate::role::follow(self.clone(), running.clone()));
        tokio::spawn(crate::renewal::follow(self.clone(), running.clone()));
        tokio::spawn(crate::whereabouts::follow(self.clone(), running.clone()));
        tokio::spawn(lock::follow(self.clone(), running.clone()));
        self.enter(Phase::Member(running));
    }

    pub fn enter(&self, phase: Phase) {
        *self.phase.write() = phase;
    }

    /// # Errors
    /// This host is a member, or about to become one.
    pub fn must_be_outside(&self) -> Result<(), Status> {
        match self.phase() {
            Phase::Outside { .. } => Ok(()),
            Phase::Joining(_) => Err(Status::failed_precondition(
                "this node is already joining a swarm: use `swarmctl leave` to stop that, or `swarmctl info` to see how far it is",
            )),
            Phase::Member(_) => Err(Status::failed_precondition(
                "this node is already part of a swarm: `swarmctl leave` takes it out of that one first",
            )),
            Phase::Locked(_) => Err(Status::failed_precondition(
                "this node is already part of a swarm, as a manager that is locked: `swarmctl unlock` opens it, and \
                 `swarmctl leave --force` takes it out of that swarm",
            )),
        }
    }

    /// # Errors
    /// This host is a manager whose files are locked.
    pub fn must_be_open(&self) -> Result<(), Status> {
        match self.phase() {
            Phase::Locked(_) => Err(Status::unavailable(lock::SENTENCE)),
            Phase::Outside { .. } | Phase::Joining(_) | Phase::Member(_) => Ok(()),
        }
    }

    /// # Errors
    /// This host is no member; says how it becomes one.
    pub fn running(&self) -> Result<Arc<Running>, Status> {
        match self.phase() {
            Phase::Member(running) => Ok(running),
            Phase::Joining(joining) => Err(Status::unavailable(format!(
                "this node is still joining a swarm: {}",
                joining.last_error()
            ))),
            Phase::Locked(_) => Err(Status::unavailable(lock::SENTENCE)),
            Phase::Outside { .. } => Err(Status::unavailable(
                "this node is not part of a swarm: use `swarmctl init` to begin one or `swarmctl join` to join one",
            )),
        }
    }

    pub fn worker(&self) -> Result<WorkerHandle, Status> {
        Ok(self.running()?.worker.clone())
    }

    /// Also of a locked manager: for what concerns the sandboxes that are there.
    pub fn local_worker(&self) -> Result<WorkerHandle, Status> {
        match self.phase() {
            Phase::Locked(locked) => Ok(locked.worker.clone()),
            Phase::Outside { .. } | Phase::Joining(_) | Phase::Member(_) => self.worker(),
        }
    }

    /// The manager on this host.
    ///
    /// # Errors
    /// This host is no manager; names those it knows.
    pub fn control(&self) -> Result<Arc<ManagerControl>, Status> {
        let running = self.running()?;
        running.control().ok_or_else(|| Status::unavailable(not_a_manager(&running)))
    }

    /// A part of this host can go on no more: the process must end, and end badly.
    pub fn set_broken(&self, reason: String) {
        self.broken.send_replace(Some(reason));
    }

    /// Resolves when that has happened.
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        match broken.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops what runs; touches no kernel object.
    pub async fn shutdown(&self) {
        match self.phase() {
            Phase::Member(running) => running.shutdown().await,
            Phase::Locked(locked) => locked.worker.shutdown().await,
            Phase::Joining(joining) => joining.stop(),
            Phase::Outside { .. } => {}
        }
        self.audit.flush().await;
    }
}

fn not_a_manager(running: &Running) -> String {
    // Right after a demotion this host still stands on its own list.
    let own = running.member().advertise;
    let others = running.managers().into_iter().filter(|addr| *addr != own);
    let managers: Vec<String> = others.map(|addr| addr.to_string()).collect();
    format!(
        "this node is not a manager: run the command on one of its managers ({})",
        if managers.is_empty() { "none known".to_owned() } else { managers.join(", ") }
    )
}

/// Goes on where the last process stopped: as a member, as a joiner, or outside and clean.
///
/// # Errors
/// A file of the state folder is damaged or does not fit the others. Nothing is guessed.
pub async fn resume(daemon: &Arc<Daemon>) -> anyhow::Result<()> {
    if let Some(member) = daemon.state.member()? {
        if member.role == Role::Manager && daemon.state.is_locked()? {
            return lock::enter(daemon, member).await;
        }
        let running = crate::running::resume(daemon, member).await?;
        daemon.enter_member(running);
        return Ok(());
    }
    if let Some(pending) = daemon.state.pending()? {
        crate::join::resume(daemon, pending);
        return Ok(());
    }
    let dir = daemon.state.path().display().to_string();
    if let Some(there) = daemon.state.orphaned()? {
        anyhow::bail!(
            "node.json is missing in {dir} while {} is there: restore it from a backup of that folder, or move all of it \
             away and join again",
            there.display()
        );
    }
    daemon.state.forget().with_context(|| format!("cannot clear what a broken join left in {dir}"))
}
