//! A world: a few hosts on one wire, all of it namespaces, seen by nobody else on the machine.
//! Knows how hosts are wired together; must not know what the daemons on them do.

use crate::host::Host;
use crate::run::MARK;
use crate::space::Space;
use crate::within;
use anyhow::{Context, Result, bail, ensure};
use parking_lot::{Condvar, Mutex};
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Worlds alive at once: each has several daemons, and the machine may have two cores.
const WORLDS_AT_ONCE: usize = 3;
static WORLDS: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The wire's own address: the outside of every host, where tests put servers.
pub const OUTSIDE: &str = "10.88.0.253";
/// A second one.
pub const OUTSIDE_TOO: &str = "10.88.0.252";

/// What a world shall look like.
pub struct Setup {
    names: Vec<String>,
    mtu: u32,
    ipv6: bool,
    alone: bool,
}

impl Setup {
    /// `n` hosts called h1, h2, …
    pub fn hosts(n: usize) -> Self {
        let names = (1..=n).map(|i| format!("h{i}")).collect();
        Self { names, mtu: 1500, ipv6: false, alone: false }
    }

    pub fn named(names: &[&str]) -> Self {
        Self { names: names.iter().map(|n| (*n).to_owned()).collect(), ..Self::hosts(0) }
    }

    /// The underlay's MTU, bytes.
    pub fn mtu(self, mtu: u32) -> Self {
        Self { mtu, ..self }
    }

    /// Hosts also get fd88::i/64.
    pub fn ipv6(self) -> Self {
        Self { ipv6: true, ..self }
    }

    /// No other world may run meanwhile: for what is measured.
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }
}

pub struct World {
    // In this order: hosts go before their wire, the wire before its files, the slot last.
    hosts: Vec<Host>,
    pub wire: Space,
    dir: TempDir,
    mark: String,
    _slot: Slot,
}

impl World {
    pub fn new(setup: &Setup) -> Result<Self> {
        let slot = Slot::take(if setup.alone { WORLDS_AT_ONCE } else { 1 });
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix("swarm-world-").tempdir()?;
        let wire = Space::new(&mark, &wire_script(setup))?;
        let mut world = Self { hosts: Vec::new(), wire, dir, mark, _slot: slot };
        for (i, name) in setup.names.iter().enumerate() {
            let host = Host::new(i + 1, name, world.dir.path(), &world.mark)?;
            world.plug(&host, setup)?;
            world.hosts.push(host);
        }
        Ok(world)
    }

    fn plug(&self, host: &Host, setup: &Setup) -> Result<()> {
        let (i, mtu) = (host.number, setup.mtu);
        let outer_pid = host.space.pid();
        // `ip` must see the host's process id as the machine does, so only the wire's network is entered.
        let script = format!(
            "ip link add p{i} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {outer_pid} && ip link set p{i} master br0 up"
        );
        let mut command = std::process::Command::new("nsenter");
        command.arg(format!("--net={}", self.wire.net().display())).args(["sh", "-c", &script]);
        crate::run::run(command, Duration::from_secs(10))?.ok()?;
        let v6 = if setup.ipv6 { format!("ip addr add fd88::{i}/64 dev eth0 nodad;") } else { String::new() };
        let script = format!(
            "set -e; ip link set eth0 up; ip addr add {}/24 dev eth0; {v6} ip route add default via {OUTSIDE}",
            host.ip
        );
        host.space.sh(&script)?.ok().map(drop)
    }

    /// The hosts, from 1.
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number - 1]
    }

    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Starts a daemon on every host, makes the first a cluster and joins the others in these roles;
    /// waits until all are ready.
    pub fn form(&self, others: &[&str]) -> Result<()> {
        self.form_first(self.hosts.len(), others)
    }

    /// As `form`, with the first `count` hosts only.
    pub fn form_first(&self, count: usize, others: &[&str]) -> Result<()> {
        ensure!(others.len() + 1 == count, "{count} hosts need {} roles", count - 1);
        for host in &self.hosts[..count] {
            host.start()?;
        }
        let first = self.host(1);
        first.ctl("init")?.ok()?;
        for (host, role) in self.hosts.iter().skip(1).zip(others) {
            let token = first.token(role)?;
            host.ctl(&format!("join --token {token} {}:2377", first.ip))?.ok()?;
        }
        self.settled(count)
    }

    /// Waits until `nodes` nodes are ready and no manager is unreachable or still learning.
    pub fn settled(&self, nodes: usize) -> Result<()> {
        crate::eventually("all nodes are ready", || {
            let rows = self.host(1).nodes()?;
            ensure!(rows.len() == nodes, "{} nodes, expected {nodes}", rows.len());
            match rows.iter().find(|n| n.status != "Ready" || n.manager.starts_with("Unreachable")) {
                Some(node) => bail!("{node:?}"),
                None => Ok(()),
            }
        })
    }

    /// The host whose manager leads, in the eyes of any host that says so.
    pub fn leader(&self) -> Result<&Host> {
        let said = |host: &Host| host.nodes().ok()?.into_iter().find(|node| node.manager == "Leader");
        crate::eventually("somebody leads", || {
            let leader = self.hosts.iter().filter(|host| host.daemon_pid().is_ok()).find_map(said);
            let leader = leader.context("nobody knows a leader")?;
            self.hosts.iter().find(|host| host.name == leader.hostname).context("it is no host of this world")
        })
    }

    fn print_logs(&self) {
        for host in &self.hosts {
            eprintln!("--- the end of {}'s daemon log\n{}", host.name, host.log_end(60));
        }
    }

    /// Takes everything down and makes sure that nothing is left.
    fn close(self) -> Result<()> {
        let mark = self.mark.clone();
        let dir = self.dir.path().to_owned();
        drop(self);
        let left = || -> Result<()> {
            let marked = processes_with(&mark)?;
            ensure!(marked.is_empty(), "processes of this world live on: {marked:?}");
            ensure!(!dir.exists(), "{} is still there", dir.display());
            Ok(())
        };
        within(Duration::from_secs(10), "nothing is left of this world", left).map(drop)
    }
}

/// Runs one scenario in a world of its own; shows the daemons' logs when it fails; leaves nothing behind.
#[allow(clippy::panic)] // this is how a test fails
pub fn scenario(setup: Setup, play: impl FnOnce(&World) -> Result<()>) {
    let world = World::new(&setup).unwrap_or_else(|e| panic!("cannot set the world up: {e:#}"));
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(&world)));
    if !matches!(played, Ok(Ok(()))) {
        world.print_logs();
    }
    let closed = world.close();
    match played {
        Ok(Ok(())) => closed.unwrap_or_else(|e| panic!("{e:#}")),
        Ok(Err(e)) => panic!("{e:#}"),
        Err(cause) => std::panic::resume_unwind(cause),
    }
}

fn wire_script(setup: &Setup) -> String {
    let mtu = setup.mtu;
    let v6 = if setup.ipv6 { "ip addr add fd88::fd/64 dev br0 nodad" } else { "true" };
    format!(
        "ip link add br0 mtu {mtu} type bridge mcast_snooping 0\nip link set br0 up\n\
         ip addr add {OUTSIDE}/24 dev br0\nip addr add {OUTSIDE_TOO}/24 dev br0\n{v6}"
    )
}

/// Processes that carry a world's mark in their environment.
fn processes_with(mark: &str) -> Result<Vec<String>> {
    let wanted = format!("{MARK}={mark}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("no /proc")? {
        let path = entry?.path();
        // Processes come and go while we look; one that is gone cannot be a leak.
        let Ok(environment) = fs::read(path.join("environ")) else { continue };
        if environment.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes()) {
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    Ok(found)
}

/// A share of the machine.
struct Slot(usize);

impl Slot {
    fn take(share: usize) -> Self {
        let (used, freed) = (&WORLDS.0, &WORLDS.1);
        let mut used = used.lock();
        while *used + share > WORLDS_AT_ONCE {
            freed.wait(&mut used);
        }
        *used += share;
        Self(share)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *WORLDS.0.lock() -= self.0;
        WORLDS.1.notify_all();
    }
}
