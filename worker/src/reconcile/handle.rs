//! What the rest of the worker holds. Knows: which places there are and who waits for which. Must not know:
//! how a place is mended.

use super::actor::{Birth, Outcome, run};
use super::{Counters, ReconcileConfig, ReconcileError};
use crate::kernel::Gate;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{SandboxId, Vni};
use swarm_overlay::esp::Guard;
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
    pub gate: Arc<Gate>,
    counters: Mutex<Counters>,
}

#[derive(Default)]
struct Places {
    actors: BTreeMap<Scope, Actor>,
    /// Networks being taken down: the guard covers them until their devices are gone.
    leaving: BTreeMap<Scope, Vni>,
    /// Whether what an earlier daemon left was looked for.
    searched: bool,
}

struct Actor {
    targets: watch::Sender<Target>,
    outcomes: watch::Receiver<Outcome>,
}

impl Places {
    /// Adds to the guard what is not desired any more and may still be there.
    fn cover_leaving(&mut self, desired: Arc<Desired>, held: Option<&Guard>) -> Arc<Desired> {
        let gone = |actor: &Actor| {
            let (target, outcome) = (actor.targets.borrow(), actor.outcomes.borrow());
            let reached = outcome.generation == target.generation && outcome.failures.is_empty();
            reached && *target.segment == Segment::default()
        };
        self.leaving.retain(|scope, _| self.actors.get(scope).is_some_and(|actor| !gone(actor)));
        for (scope, actor) in &self.actors {
            let built = actor.targets.borrow().segment.vxlan.as_ref().map(|vxlan| vxlan.vni);
            self.leaving.extend(built.map(|vni| (*scope, vni)));
        }
        self.leaving.retain(|scope, vni| {
            let wanted = desired.segment(*scope).and_then(|segment| segment.vxlan.as_ref());
            wanted.is_none_or(|vxlan| vxlan.vni != *vni)
        });
        let Some(held) = held.filter(|_| !self.leaving.is_empty()) else { return desired };
        let mut guard =
            desired.segment(Scope::Gateway).and_then(|s| s.guard.as_deref()).unwrap_or(held).clone();
        if desired.segment(Scope::Gateway).is_none_or(|s| s.guard.is_none()) {
            (guard.plain, guard.encrypted) = Default::default();
        }
        for vni in self.leaving.values() {
            let set = if held.encrypted.contains(vni) { &mut guard.encrypted } else { &mut guard.plain };
            set.insert(*vni);
        }
        let mut desired = Desired::clone(&desired);
        desired.put_guard(Some(Arc::new(guard)));
        Arc::new(desired)
    }
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
        let desired = places.cover_leaving(desired, self.registry.gate.newest().as_deref());
        self.registry.gate.set(desired.segment(Scope::Gateway).and_then(|segment| segment.guard.clone()));
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
        // Once for the devices, and once for the guard that covers them until they are gone.
        let first = self.apply(Arc::new(Desired::nothing())).await;
        first.and(self.apply(Arc::new(Desired::nothing())).await)
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
