//! What the rest of the worker holds. Knows: which places there are and who waits for which. Must not know:
//! how a place is mended.

use super::actor::{Birth, Outcome, run};
use super::{Counters, ReconcileConfig, ReconcileError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use swarm_model::SandboxId;
use swarm_overlay::{Desired, OverlayNs, PortName, Scope, Segment};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Passes at work at the same time. The kernel changes links one at a time anyway.
const HANDS: usize = 16;
/// Longest wait for a pass. The work itself has its own deadlines; this one catches a machine that stands
/// still.
const DEADLINE: Duration = Duration::from_secs(60);

/// What one place should look like.
#[derive(Debug, Clone)]
pub struct Target {
    /// Counts up; never 0 for something that was submitted.
    pub generation: u64,
    pub segment: Arc<Segment>,
    /// How the place is called in messages.
    pub title: String,
}

/// Starts the actors.
pub struct Reconciler;

#[derive(Clone)]
pub struct ReconcilerHandle {
    registry: Arc<Registry>,
    config: Arc<ReconcileConfig>,
    hands: Arc<Semaphore>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

#[derive(Default)]
pub struct Registry {
    places: Mutex<Places>,
    counters: Mutex<Counters>,
}

#[derive(Default)]
struct Places {
    actors: BTreeMap<Scope, Actor>,
    /// Whether what an earlier daemon left was looked for.
    searched: bool,
}

struct Actor {
    targets: watch::Sender<Target>,
    outcomes: watch::Receiver<Outcome>,
}

impl Registry {
    pub fn count(&self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.counters.lock());
    }

    /// The first thing that does not match, with the place where.
    fn trouble(&self) -> Option<String> {
        let places = self.places.lock();
        places.actors.values().find_map(|actor| {
            let failure = actor.outcomes.borrow().failures.first()?.sentence.clone();
            Some(format!("{}: {failure}", actor.targets.borrow().title))
        })
    }

    /// Takes an actor off the list, unless it was given a newer target. True when it may end.
    pub fn forget(&self, scope: Scope, generation: u64) -> bool {
        let mut places = self.places.lock();
        let current = places.actors.get(&scope).is_none_or(|a| a.targets.borrow().generation == generation);
        if current {
            places.actors.remove(&scope);
        }
        current
    }
}

/// Waits for what was submitted.
#[must_use]
pub struct Submitted {
    waits: Vec<Wait>,
    desired: Arc<Desired>,
}

struct Wait {
    scope: Scope,
    generation: u64,
    outcomes: watch::Receiver<Outcome>,
}

impl Reconciler {
    /// Must be called within a tokio runtime. Touches nothing until the first [`ReconcilerHandle::submit`].
    pub fn start(config: ReconcileConfig) -> ReconcilerHandle {
        ReconcilerHandle {
            registry: Arc::default(),
            config: Arc::new(config),
            hands: Arc::new(Semaphore::new(HANDS)),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
        }
    }
}

impl ReconcilerHandle {
    /// Replaces what is desired and returns at once; the newest submission wins, so submit in order (under
    /// the lock that orders your derivations). What is there and not desired is removed.
    pub fn submit(&self, desired: Arc<Desired>) -> Submitted {
        let mut places = self.registry.places.lock();
        let mut scopes: BTreeSet<Scope> =
            desired.segments.keys().chain(places.actors.keys()).copied().collect();
        if !std::mem::replace(&mut places.searched, true) {
            scopes.extend(self.left_behind());
        }
        let mut waits = Vec::new();
        for scope in scopes {
            let target = Target {
                generation: 1,
                segment: desired.segment(scope).cloned().unwrap_or_default(),
                title: desired.title(scope),
            };
            let actor = match places.actors.remove(&scope) {
                Some(actor) => aim(actor, target),
                None => self.spawn(scope, target),
            };
            let generation = actor.targets.borrow().generation;
            waits.push(Wait { scope, generation, outcomes: actor.outcomes.clone() });
            places.actors.insert(scope, actor);
        }
        Submitted { waits, desired }
    }

    /// [`ReconcilerHandle::submit`], then waits until all of it holds.
    pub async fn apply(&self, desired: Arc<Desired>) -> Result<(), ReconcileError> {
        self.submit(desired).all().await
    }

    pub fn counters(&self) -> Counters {
        let counters = self.registry.counters.lock().clone();
        Counters { last_error: self.registry.trouble(), ..counters }
    }

    /// Removes everything that is ours from this host (for `leave`). Goes on after errors and returns them
    /// all.
    pub async fn teardown_all(&self) -> Result<(), ReconcileError> {
        self.registry.places.lock().searched = false;
        self.apply(Arc::new(Desired::nothing())).await
    }

    /// Stops the actors. The kernel keeps what it has.
    pub async fn shutdown(&self) {
        self.cancel.cancel();
        self.tasks.close();
        if timeout(DEADLINE, self.tasks.wait()).await.is_err() {
            tracing::warn!("the work on the kernel did not end in time");
        }
    }

    fn spawn(&self, scope: Scope, target: Target) -> Actor {
        let (targets, targets_rx) = watch::channel(target);
        let (outcomes, outcomes_rx) = watch::channel(Outcome::default());
        let birth = Birth {
            scope,
            netns_dir: self.config.netns_dir.clone(),
            audit_interval: self.config.audit_interval,
            targets: targets_rx,
            outcomes,
            registry: self.registry.clone(),
            hands: self.hands.clone(),
            cancel: self.cancel.clone(),
        };
        self.tasks.spawn(run(birth));
        Actor { targets, outcomes: outcomes_rx }
    }

    /// Places that an earlier daemon of this run directory made.
    fn left_behind(&self) -> BTreeSet<Scope> {
        let files = std::fs::read_dir(&self.config.netns_dir).into_iter().flatten().flatten();
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        let overlays = names.filter_map(|name| OverlayNs::from_file_name(&name)).map(Scope::Overlay);
        overlays.chain([Scope::Gateway]).collect()
    }
}

/// Gives an actor a new target if it differs, or if the last one has not been reached.
fn aim(actor: Actor, target: Target) -> Actor {
    let failed = !actor.outcomes.borrow().failures.is_empty();
    actor.targets.send_if_modified(|held| {
        let same = Arc::ptr_eq(&held.segment, &target.segment) || held.segment == target.segment;
        if !same || failed {
            *held = Target { generation: held.generation + 1, ..target };
        }
        !same || failed
    });
    actor
}

impl Submitted {
    /// Until the kernel matches everywhere, or the first pass over a place has ended with an error.
    pub async fn all(self) -> Result<(), ReconcileError> {
        self.until(|_| true, |_, _| true).await
    }

    /// Until the places this sandbox has ports in match; errors of other sandboxes' ports do not count.
    pub async fn of(mut self, sandbox: SandboxId) -> Result<(), ReconcileError> {
        let desired = std::mem::take(&mut self.desired);
        let ports = desired.places.get(&sandbox).cloned().unwrap_or_default();
        let here = |scope: Scope| ports.iter().any(|(s, _)| *s == scope);
        self.until(here, |scope, port| ports.contains(&(scope, port))).await
    }

    async fn until(
        self,
        place_counts: impl Fn(Scope) -> bool,
        port_counts: impl Fn(Scope, PortName) -> bool,
    ) -> Result<(), ReconcileError> {
        let mut reasons = Vec::new();
        for mut wait in self.waits.into_iter().filter(|w| place_counts(w.scope)) {
            let reached = wait.outcomes.wait_for(|outcome| outcome.generation >= wait.generation);
            match timeout(DEADLINE, reached).await {
                Ok(Ok(outcome)) => {
                    let counts =
                        |port: Option<PortName>| port.is_none_or(|port| port_counts(wait.scope, port));
                    let counting = outcome.failures.iter().filter(|f| counts(f.port));
                    reasons.extend(counting.map(|f| f.sentence.clone()));
                }
                Ok(Err(_)) => reasons.push(format!("{}: the daemon is stopping", wait.scope)),
                Err(_) => reasons.push(format!(
                    "{} was not ready within {} s: look at the daemon's log and try again",
                    wait.scope,
                    DEADLINE.as_secs()
                )),
            }
        }
        reasons.dedup();
        if reasons.is_empty() { Ok(()) } else { Err(ReconcileError { reasons }) }
    }
}
