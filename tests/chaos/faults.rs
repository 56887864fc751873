//! Carrying a plan out: each fault begins at its time, lasts, and is mended. Knows how faults are made; must not know
//! what they are to bring to light.

use crate::plan::{Fault, Step, Target};
use crate::roles::Roles;
use crate::work::{self, Site};
use anyhow::{Context, Result};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use swarm_proto::v1;
use swarm_tests::poll::pause;
use swarm_tests::shim::Shim;
use swarm_tests::wire::{self, Wire};
use swarm_tests::{Host, World};

/// For questions to be on their way before a sleeper wakes.
const ASKED_BEFORE: Duration = Duration::from_millis(30);

pub struct Injector<'w> {
    pub world: &'w World,
    pub shims: Vec<Shim>,
    pub managers: usize,
    pub site: &'w Site,
    roles: Roles<'w>,
    /// The leader's host, as far as anybody knows; 0: nobody.
    pub leader: &'w AtomicUsize,
    wire: Wire,
    /// Hosts with something done to their daemon's process.
    busy: Mutex<BTreeSet<usize>>,
    /// Held while the spare host goes and comes.
    spare: Mutex<()>,
    told: Mutex<Vec<String>>,
}

impl<'w> Injector<'w> {
    pub fn new(
        world: &'w World,
        (site, leader): (&'w Site, &'w AtomicUsize),
        roles: Roles<'w>,
        shims: Vec<Shim>,
    ) -> Self {
        let (wire, managers) = (Wire::new(world.wire.net()), site.managers.len());
        let (busy, spare, told) = Default::default();
        Self { world, shims, managers, site, roles, leader, wire, busy, spare, told }
    }

    /// Plays the whole plan; when it returns, everything is mended, every daemon runs, and everybody has been told to be
    /// again what it was at the beginning.
    pub fn play(&self, plan: &[Step]) -> Result<()> {
        self.steps(plan)?;
        self.roles.restore()?;
        self.site.all_are_back();
        Ok(())
    }

    fn steps(&self, plan: &[Step]) -> Result<()> {
        let begun = Instant::now();
        thread::scope(|scope| {
            let steps: Vec<_> = plan
                .iter()
                .map(|step| {
                    scope.spawn(move || {
                        let at = Duration::from_millis(step.at_ms as u64);
                        pause(at.saturating_sub(begun.elapsed()));
                        self.step(step).with_context(|| step.to_string())
                    })
                })
                .collect();
            let ended = steps
                .into_iter()
                .map(|step| step.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            ended.collect()
        })
    }

    /// What was done when, for the report.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().clone()
    }

    fn tell(&self, what: &str) {
        self.told.lock().push(format!("{:>8.1} ms  {what}", self.site.recorder.now_us() as f64 / 1e3));
    }

    fn step(&self, step: &Step) -> Result<()> {
        let lasts = Duration::from_millis(step.lasts_ms as u64);
        match step.fault {
            Fault::Kill(target) => self.process(target, "kill -9", lasts, (Host::kill, Host::start)),
            Fault::Restart(target) => self.process(target, "SIGTERM", lasts, (Host::stop, Host::start)),
            Fault::Freeze(target) => {
                self.process(target, "SIGSTOP", lasts, (Host::freeze, |host| self.wake(host)))
            }
            Fault::KillManagers => self.kill_managers(lasts),
            Fault::Isolate(target) => self.on_host(target, |host| {
                self.on_wire(
                    &format!("{} cut off", host.name),
                    lasts,
                    &[wire::to(&host.ip), wire::from(&host.ip)],
                )
            }),
            Fault::Deafen(target) => self.on_host(target, |host| {
                self.on_wire(&format!("{} hears nobody", host.name), lasts, &[wire::to(&host.ip)])
            }),
            Fault::Cut { from, to } => {
                let matching = wire::one_way(&self.world.host(from).ip, &self.world.host(to).ip);
                self.on_wire(&format!("nothing from h{from} to h{to}"), lasts, &[matching])
            }
            Fault::Loss { percent } => {
                self.on_wire(&format!("{percent} % lost"), lasts, &[wire::share(percent)])
            }
            Fault::SlowDisk { target, ms } => self.on_host(target, |host| {
                let shim = &self.shims[host.number - 1];
                self.tell(&format!("{}: fsync +{ms} ms", host.name));
                shim.slow_disk(Duration::from_millis(ms as u64))?;
                pause(lasts);
                self.tell(&format!("{}: fsync as ever", host.name));
                shim.slow_disk(Duration::ZERO)
            }),
            Fault::Clock { target, seconds } => self.on_host(target, |host| {
                let shim = &self.shims[host.number - 1];
                self.tell(&format!("{}: clock {seconds:+} s", host.name));
                shim.wrong_clock(seconds)?;
                pause(lasts);
                self.tell(&format!("{}: clock right", host.name));
                shim.wrong_clock(0)
            }),
            Fault::Demote(target) => self.on_host(target, |host| {
                self.role(host, v1::Role::Worker, lasts);
                Ok(())
            }),
            Fault::Promote(number) => {
                self.role(self.world.host(number), v1::Role::Manager, lasts);
                Ok(())
            }
            Fault::Rejoin { removed, manager } => self.rejoin(removed, manager, lasts),
        }
    }

    /// Another role for a while. That the cluster refuses it now, or cannot say, is an answer like any other.
    fn role(&self, host: &Host, role: v1::Role, lasts: Duration) {
        let back = match role {
            v1::Role::Manager => v1::Role::Worker,
            _ => v1::Role::Manager,
        };
        self.site.touch(&host.name);
        if role == v1::Role::Worker {
            self.site.demoted(host.number);
        }
        for wanted in [role, back] {
            let said = self.roles.set(&host.name, wanted);
            self.tell(&format!("{}: to be a {}: {said}", host.name, wanted.as_str_name()));
            if wanted == role {
                pause(lasts);
            }
        }
    }

    fn rejoin(&self, removed: bool, manager: bool, lasts: Duration) -> Result<()> {
        let Some(_turn) = self.spare.try_lock() else { return Ok(()) };
        let role = if manager { v1::Role::Manager } else { v1::Role::Worker };
        self.tell(&format!("the spare host {}", if removed { "is removed" } else { "leaves" }));
        self.roles.part(removed)?;
        let joined = self.roles.join(role);
        self.tell(&format!("the spare host joins as a {}: {joined}", role.as_str_name()));
        pause(lasts);
        let said = self.roles.calm_spare();
        self.tell(&format!("the spare host is to be a worker: {said}"));
        Ok(())
    }

    fn on_host(&self, target: Target, act: impl FnOnce(&Host) -> Result<()>) -> Result<()> {
        match target {
            Target::Host(number) => act(self.world.host(number)),
            Target::Leader => match self.leader.load(Ordering::Relaxed) {
                0 => Ok(()),
                number => act(self.world.host(number)),
            },
        }
    }

    fn on_wire(&self, what: &str, lasts: Duration, matches: &[String]) -> Result<()> {
        self.tell(what);
        let id = self.wire.damage(matches)?;
        pause(lasts);
        self.tell(&format!("over: {what}"));
        self.wire.mend(id)
    }

    /// Something done to a daemon's process, one thing at a time.
    fn process(
        &self,
        target: Target,
        what: &str,
        lasts: Duration,
        (harm, mend): (impl Fn(&Host) -> Result<()>, impl Fn(&Host) -> Result<()>),
    ) -> Result<()> {
        self.on_host(target, |host| {
            if !self.busy.lock().insert(host.number) {
                return Ok(());
            }
            self.tell(&format!("{}: {what}", host.name));
            let done = harm(host).and_then(|()| {
                pause(lasts);
                self.tell(&format!("{}: goes on", host.name));
                mend(host)
            });
            self.tell(&format!("{}: is back", host.name));
            self.busy.lock().remove(&host.number);
            done.with_context(|| format!("{what} on {}", host.name))
        })
    }

    /// A manager that wakes may believe for a moment that it leads still: questions are waiting for it, asked after the
    /// others have gone on.
    fn wake(&self, host: &Host) -> Result<()> {
        let manager = self.site.managers.iter().find(|manager| manager.host == host.number);
        thread::scope(|scope| {
            if let Some(manager) = manager {
                scope.spawn(|| self.roles.runtime.block_on(work::look_everywhere(self.site, manager)));
                pause(ASKED_BEFORE);
            }
            host.thaw()
        })
    }

    fn kill_managers(&self, lasts: Duration) -> Result<()> {
        thread::scope(|scope| {
            let kills: Vec<_> = (1..=self.managers)
                .map(|number| {
                    let kill = move || {
                        self.process(Target::Host(number), "kill -9 (all)", lasts, (Host::kill, Host::start))
                    };
                    scope.spawn(kill)
                })
                .collect();
            let ended = kills
                .into_iter()
                .map(|kill| kill.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            ended.collect()
        })
    }
}
