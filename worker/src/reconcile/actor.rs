//! The actor of one place. Knows: when to look and what is worth waiting for. Must not know: what a step
//! does.

use super::handle::{Registry, Target};
use super::inbox::{Inbox, listen};
use super::pass::{Failure, Report, pass};
use super::timing::{Budget, Settle};
use crate::kernel::{Place, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use swarm_overlay::{Event, Op, Scope, Segment, contradicts};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(30);
/// Looking by the clock may take at most this part of the time: large tables take the kernel long to tell.
const PERIODIC_SHARE: u32 = 100;
/// So many steps make more notifications than may be kept. What is lost of them then was our own, and so is
/// word of rules, loaded in the same pass; that is no reason to look through large tables. Something foreign
/// among it is found by the audit by the clock.
const LOUD_STEPS: usize = 2048;
/// How long after such a pass its notifications may still come in: at least this.
const ECHO: Duration = Duration::from_secs(1);
/// Steps named in a log line.
const NAMED: usize = 8;

/// How the last pass of a place ended.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The newest target that was tried.
    pub generation: u64,
    pub failures: Vec<Failure>,
}

/// What an actor is born with.
pub struct Birth {
    pub scope: Scope,
    pub netns_dir: PathBuf,
    pub audit_interval: Duration,
    pub targets: watch::Receiver<Target>,
    pub outcomes: watch::Sender<Outcome>,
    pub registry: Arc<Registry>,
    pub hands: Arc<Semaphore>,
    pub cancel: CancellationToken,
}

struct Actor {
    birth: Birth,
    /// Away while a pass is at work.
    place: Option<Place>,
    /// What the kernel is known to hold.
    known: Option<Arc<Segment>>,
    /// What the last pass was to bring about, and its number.
    aimed: Arc<Segment>,
    generation: u64,
    inbox: Arc<Inbox>,
    listeners: JoinSet<()>,
    listening: BTreeMap<Source, Vec<AbortHandle>>,
    retry: Option<(Instant, Duration)>,
    next_audit: Instant,
    settle: Settle,
    budget: Budget,
    /// Until then a loss of notifications, or word of rules, is the echo of our own steps.
    echo_until: Instant,
}

/// Why a pass happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Target,
    Heard,
    Audit,
    Retry,
}

pub async fn run(birth: Birth) {
    let place = Place::new(birth.scope, &birth.netns_dir, birth.registry.gate.clone());
    let now = Instant::now();
    let mut actor = Actor {
        next_audit: now + birth.audit_interval,
        settle: Settle::default(),
        budget: Budget::new(now),
        echo_until: now,
        place: Some(place),
        known: None,
        aimed: Arc::default(),
        generation: 0,
        inbox: Arc::default(),
        listeners: JoinSet::new(),
        listening: BTreeMap::new(),
        retry: None,
        birth,
    };
    while let Some(cause) = actor.next().await {
        actor.act(cause).await;
        if actor.is_over() {
            break;
        }
    }
}

impl Actor {
    /// Waits for the next reason to act; `None` when it is time to end.
    async fn next(&mut self) -> Option<Cause> {
        let retry_at = self.retry.map_or(self.next_audit, |(at, _)| at.min(self.next_audit));
        loop {
            if self.settle.is_overdue(Instant::now()) {
                return Some(Cause::Heard);
            }
            if self.birth.targets.borrow_and_update().generation != self.generation {
                return Some(Cause::Target);
            }
            tokio::select! {
                () = self.birth.cancel.cancelled() => return None,
                changed = self.birth.targets.changed() => return changed.ok().map(|()| Cause::Target),
                () = self.inbox.wait() => self.settle.heard(Instant::now()),
                () = at(self.settle.due()) => return Some(Cause::Heard),
                () = sleep_until(retry_at) => {
                    let retry = self.retry.is_some_and(|(at, _)| at <= Instant::now());
                    return Some(if retry { Cause::Retry } else { Cause::Audit });
                }
                // Reaps listeners that ended.
                Some(_) = self.listeners.join_next() => self.settle.heard(Instant::now()),
            }
        }
    }

    async fn act(&mut self, cause: Cause) {
        match cause {
            Cause::Target => {
                let fresh = self.known.is_none();
                self.pass(cause, fresh).await;
            }
            Cause::Heard => self.judge().await,
            Cause::Audit | Cause::Retry => self.pass(cause, true).await,
        }
    }

    /// Looks at the place if something heard contradicts what was brought about.
    async fn judge(&mut self) {
        self.settle.judged();
        let Some(place) = &self.place else { return };
        let events = self.inbox.take();
        let translated = events.iter().filter_map(|(source, heard)| place.translate(source, heard));
        let echo = Instant::now() < self.echo_until;
        let ours = |e: &Event| echo && matches!(e, Event::Lost | Event::Rules);
        let counts = |e: &Event| contradicts(e, &self.aimed) && !ours(e);
        let Some(event) = translated.into_iter().find(counts) else { return };
        if event == Event::Lost {
            self.birth.registry.count(|c| c.lost += 1);
        }
        tracing::debug!(scope = %self.birth.scope, ?event, "something changed");
        let rest = self.budget.rest_until();
        tokio::select! {
            () = sleep_until(rest) => self.pass(Cause::Heard, true).await,
            // A new target comes first; what is known is not to be relied on then.
            _ = self.birth.targets.changed() => {
                self.known = None;
                self.birth.targets.mark_changed();
            }
        }
    }

    async fn pass(&mut self, cause: Cause, fresh: bool) {
        let target = self.birth.targets.borrow_and_update().clone();
        let known = if fresh { None } else { self.known.clone() };
        let started = Instant::now();
        let report = self.work(known, target.segment.clone()).await;
        self.listen_to_new();
        let same_target = target.generation == self.generation;
        self.generation = target.generation;
        self.aimed = target.segment.clone();
        let now = Instant::now();
        self.settle.acted(now);
        if report.audits > 0 {
            self.budget.looked(report.looked, now);
            self.next_audit = now + self.birth.audit_interval.max(report.looked * PERIODIC_SHARE);
        }
        if cause == Cause::Target && report.ops.len() >= LOUD_STEPS {
            self.echo_until = now + ECHO.max((now - started) / 2);
        }
        let repair = same_target && cause != Cause::Retry && self.known.is_some();
        self.tell(&report, &target, repair);
        self.known = report.failures.is_empty().then_some(target.segment);
        self.plan_retry(!report.failures.is_empty());
        self.birth.outcomes.send_replace(Outcome { generation: self.generation, failures: report.failures });
    }

    /// The pass itself, on a thread that may block, with a bound on how many work at once.
    async fn work(&mut self, known: Option<Arc<Segment>>, want: Arc<Segment>) -> Report {
        let Some(mut place) = self.place.take() else { return Report::default() };
        let _hand = self.birth.hands.clone().acquire_owned().await;
        let worked = tokio::task::spawn_blocking(move || {
            let report = pass(&mut place, known.as_ref(), &want);
            (place, report)
        });
        match worked.await {
            Ok((place, report)) => {
                self.place = Some(place);
                report
            }
            Err(error) => {
                // The pass was lost, and with it what was open; begin anew.
                let gate = self.birth.registry.gate.clone();
                self.place = Some(Place::new(self.birth.scope, &self.birth.netns_dir, gate));
                let sentence = format!("the work on {} was lost: {error}", self.birth.scope);
                Report { failures: vec![Failure { port: None, sentence }], ..Report::default() }
            }
        }
    }

    /// Starts the listeners a pass has opened and ends those whose namespace is not used any more: a listener
    /// keeps its namespace alive.
    fn listen_to_new(&mut self) {
        let Some(place) = &mut self.place else { return };
        let fresh = place.take_listeners();
        let renewed: BTreeSet<Source> = fresh.iter().map(|l| l.source().clone()).collect();
        self.listening.retain(|source, tasks| {
            let keep = place.is_open(source) && !renewed.contains(source);
            if !keep {
                tasks.iter().for_each(AbortHandle::abort);
            }
            keep
        });
        for listener in fresh {
            let source = listener.source().clone();
            let task = self.listeners.spawn(listen(listener, self.inbox.clone()));
            self.listening.entry(source).or_default().push(task);
        }
    }

    fn tell(&self, report: &Report, target: &Target, repair: bool) {
        let steps = report.ops.len() as u64;
        self.birth.registry.count(|c| {
            c.steps += steps;
            c.audits += report.audits;
            c.failures += report.failures.len() as u64;
            c.repairs += if repair { steps } else { 0 };
        });
        let place = &target.title;
        if repair && !report.ops.is_empty() {
            tracing::warn!(%place, steps, "repaired what differed: {}", list(&report.ops));
        } else if !report.ops.is_empty() {
            tracing::debug!(%place, steps, "{}", list(&report.ops));
        }
        for failure in &report.failures {
            tracing::warn!(%place, "{}", failure.sentence);
        }
    }

    fn plan_retry(&mut self, failed: bool) {
        let next = |last: Duration| (last * 2).min(RETRY_MOST);
        self.retry = failed.then(|| {
            let wait = self.retry.map_or(RETRY_FIRST, |(_, last)| next(last));
            (Instant::now() + wait, wait)
        });
    }

    /// Nothing is desired here, nothing is there, and nobody has said otherwise meanwhile.
    fn is_over(&self) -> bool {
        let nothing = self.known.as_ref().is_some_and(|known| **known == Segment::default());
        nothing && self.birth.registry.forget(self.birth.scope, self.generation)
    }
}

/// Then; never, where there is nothing to wait for.
async fn at(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}

fn list(ops: &[Op]) -> String {
    let named: Vec<String> = ops.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if ops.len() > NAMED { format!("; and {} more", ops.len() - NAMED) } else { String::new() };
    format!("{}{more}", named.join("; "))
}
