//! What the rows share: one wire with three hosts of ours, three of Docker's, two bare ones and three for etcd. Knows how to bring each
//! of them up, once and only when a row asks; must not know what is measured.

use crate::client::Client;
use crate::interrupt;
use crate::peers::docker::Engine;
use crate::peers::image;
use crate::stopwatch;
use anyhow::{Context, Result};
use std::cell::{Cell, OnceCell};
use std::time::Duration;
use swarm_tests::host::binary;
use swarm_tests::{Host, Setup, World, eventually};

/// Hosts of ours; Docker has as many.
pub const HOSTS: usize = 3;

pub struct Rig {
    // Engines go before the wire they hang on.
    engines: OnceCell<Vec<Engine>>,
    pub world: World,
    formed: Cell<bool>,
    swarmed: Cell<bool>,
}

impl Rig {
    pub fn new() -> Result<Self> {
        let world = World::new(&Setup::named(&["h1", "h2", "h3", "v1", "v2", "e1", "e2", "e3"]).alone())?;
        interrupt::guard(&world.wire);
        world.hosts().iter().for_each(|host| interrupt::guard(&host.space));
        Ok(Self { engines: OnceCell::new(), world, formed: Cell::new(false), swarmed: Cell::new(false) })
    }

    pub fn host(&self, number: usize) -> &Host {
        self.world.host(number)
    }

    pub fn ours(&self) -> &[Host] {
        &self.world.hosts()[..HOSTS]
    }

    /// The two hosts without a daemon.
    pub fn bare(&self) -> [&Host; 2] {
        [self.host(HOSTS + 1), self.host(HOSTS + 2)]
    }

    /// Three more without a daemon.
    pub fn spare(&self) -> &[Host] {
        &self.world.hosts()[HOSTS + 2..]
    }

    /// Docker's hosts, each with the image and an engine that runs.
    pub fn engines(&self) -> Result<&[Engine]> {
        if self.engines.get().is_none() {
            let engines = (1..=HOSTS).map(|n| Engine::new(&self.world, n)).collect::<Result<Vec<_>>>()?;
            let tar = image::tar(self.world.dir())?;
            for engine in &engines {
                engine.start()?;
                engine.import(&tar)?;
            }
            let _ = self.engines.set(engines);
        }
        Ok(self.engines.get().context("no engines")?)
    }

    /// Our hosts as one cluster of a manager and two workers. Freshly started daemons.
    pub fn cluster(&self) -> Result<&[Host]> {
        if !self.formed.replace(true) {
            self.world.form_first(HOSTS, &["worker", "worker"])?;
        }
        Ok(self.ours())
    }

    /// Our hosts as three managers, which [`Rig::leave`] takes apart again.
    pub fn managers(&self) -> Result<&[Host]> {
        self.world.form_first(HOSTS, &["manager", "manager"])?;
        Ok(self.ours())
    }

    /// Whoever measures next finds daemons without a past.
    pub fn leave(hosts: &[Host]) -> Result<()> {
        hosts.iter().try_for_each(|host| {
            host.ctl("leave --force")?.ok()?;
            host.stop()
        })
    }

    /// Docker's likewise.
    pub fn swarm(&self) -> Result<&[Engine]> {
        let engines = self.engines()?;
        if !self.swarmed.replace(true) {
            let [first, others @ ..] = engines else { return Ok(engines) };
            first.docker(&format!("swarm init --advertise-addr {}", first.ip))?;
            for other in others {
                other.docker(&join_words(first, "worker")?)?;
            }
            eventually("Docker's nodes are ready", || {
                let nodes = first.docker("node ls --format {{.Status}}")?.1;
                anyhow::ensure!(nodes.matches("Ready").count() == HOSTS, "{nodes}");
                Ok(())
            })?;
        }
        Ok(engines)
    }

    /// Takes a wait for the first row that needs both, so that neither is still busy with its birth.
    pub fn both(&self) -> Result<(&[Host], &[Engine])> {
        Ok((self.cluster()?, self.swarm()?))
    }

    pub fn client(&self, number: usize) -> Result<Client> {
        Client::of(self.host(number))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.engines.take());
        interrupt::release(&self.world.wire);
        self.world.hosts().iter().for_each(|host| interrupt::release(&host.space));
    }
}

/// `swarm join …` for Docker.
pub fn join_words(manager: &Engine, role: &str) -> Result<String> {
    let token = manager.docker(&format!("swarm join-token -q {role}"))?.1;
    Ok(format!("swarm join --token {} {}:2377", token.trim(), manager.ip))
}

/// `swarmctl` with these words, timed inside the host; and what it printed.
pub fn swarmctl(host: &Host, words: &str) -> Result<(Duration, String)> {
    let args: Vec<&str> = words.split_whitespace().collect();
    stopwatch::timed(&host.space, &binary("swarmctl")?, &args)
        .with_context(|| format!("{}: swarmctl {words}", host.name))
}
