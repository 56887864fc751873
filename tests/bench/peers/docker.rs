//! A Docker engine on a host of its own. Knows how to start one in namespaces, ask it and take it away again; must not
//! know what it is measured for.

use super::{http, image};
use crate::{interrupt, stopwatch};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use swarm_tests::run::{run, wait, wait_gone};
use swarm_tests::space::{Space, only_child};
use swarm_tests::{World, eventually, within};

/// The package's own, whatever else the machine has.
const CLIENT: &str = "/usr/bin/docker";
const START_LIMIT: Duration = Duration::from_secs(40);

pub struct Engine {
    pub name: String,
    pub ip: String,
    pub space: Space,
    dir: PathBuf,
    // After `space`: only when the containers are gone can their cgroups be removed.
    cgroup: Cgroup,
    daemon: RefCell<Option<(Child, i32)>>,
}

/// What runs when nobody says otherwise, for the report. An error when it is not there.
pub fn version() -> Result<String> {
    let mut command = Command::new("dockerd");
    command.arg("--version");
    let said = run(command, Duration::from_secs(10))
        .context("no dockerd: install the package docker.io (make bench does)")?
        .ok()?;
    let number = said.split([' ', ',', '+']).find(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    Ok(format!("Docker Engine {}", number.unwrap_or("of unknown version")))
}

impl Engine {
    /// A host on the world's wire, with nothing running yet.
    pub fn new(world: &World, number: usize) -> Result<Self> {
        let name = format!("d{number}");
        let dir = world.dir().join(&name);
        fs::create_dir(&dir)?;
        let cgroup = Cgroup(format!("swarm-bench-{}-{name}", std::process::id()));
        let space = Space::new(world.wire.mark(), &setup(&name, &dir)?)?;
        interrupt::guard(&space);
        let ip = format!("10.88.0.{}", 10 + number);
        let engine = Self { name, ip, space, dir, cgroup, daemon: RefCell::default() };
        engine.plug(world)?;
        Ok(engine)
    }

    fn plug(&self, world: &World) -> Result<()> {
        let (name, pid) = (&self.name, self.space.pid());
        let link = format!(
            "ip link add {name} type veth peer name eth0 netns {pid} && ip link set {name} master br0 up"
        );
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", world.wire.net().display())).args(["sh", "-c", &link]);
        run(command, Duration::from_secs(10))?.ok()?;
        let outside = swarm_tests::world::OUTSIDE;
        let up = format!(
            "set -e; ip link set eth0 up; ip addr add {}/24 dev eth0; ip route add default via {outside}",
            self.ip
        );
        self.space.sh(&up)?.ok().map(drop)
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    pub fn start(&self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.dir.join("log"))?;
        let at = |name: &str| self.dir.join(name).display().to_string();
        let mut command = self.space.command("dockerd");
        command.args(["--data-root", &at("data"), "--pidfile", &at("pid"), "--exec-root", "/run/docker"]);
        command.args(["-H", &format!("unix://{}", at("docker.sock")), "--storage-driver", "overlay2"]);
        command.args([
            "--exec-opt",
            "native.cgroupdriver=cgroupfs",
            "--cgroup-parent",
            &format!("/{}", self.cgroup.0),
        ]);
        let mut child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let pid = only_child(&mut child)?;
        *self.daemon.borrow_mut() = Some((child, pid));
        within(START_LIMIT, &format!("{} answers", self.name), || {
            self.alive()?;
            self.api("GET", "/version", None)
        })?;
        Ok(())
    }

    /// An error when asked to stop, or when the daemon ended.
    fn alive(&self) -> Result<()> {
        interrupt::check()?;
        let mut daemon = self.daemon.borrow_mut();
        let ended = daemon.as_mut().and_then(|(child, _)| child.try_wait().ok().flatten());
        let Some(status) = ended else { return Ok(()) };
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(5).collect();
        bail!("dockerd ended with {status}: {end:#?}")
    }

    pub fn stop(&self) -> Result<()> {
        let Some((mut child, pid)) = self.daemon.borrow_mut().take() else { return Ok(()) };
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        let limit = Duration::from_secs(30);
        wait_gone(pid, limit)?;
        wait(&mut child, limit).map(drop)
    }

    /// Ends the daemon without asking.
    pub fn kill(&self) -> Result<()> {
        let Some((mut child, pid)) = self.daemon.borrow_mut().take() else { return Ok(()) };
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        let limit = Duration::from_secs(10);
        wait_gone(pid, limit)?;
        wait(&mut child, limit).map(drop)
    }

    /// The daemon's process id as seen from the machine.
    pub fn pid(&self) -> Result<i32> {
        Ok(self.daemon.borrow().as_ref().context("no dockerd runs here")?.1)
    }

    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        http::ask(&self.socket(), method, path, body)
    }

    /// `docker` with these words, as a command to be started inside.
    pub fn command(&self, words: &str) -> Command {
        let mut command = self.space.limited(Duration::from_secs(60), CLIENT);
        command.arg("-H").arg(format!("unix://{}", self.socket().display())).args(words.split_whitespace());
        command
    }

    /// `docker` with these words, timed inside the host; and what it printed.
    pub fn docker(&self, words: &str) -> Result<(Duration, String)> {
        let socket = format!("unix://{}", self.socket().display());
        let args: Vec<&str> = ["-H", &socket].into_iter().chain(words.split_whitespace()).collect();
        stopwatch::timed(&self.space, CLIENT, &args).with_context(|| format!("{}: docker {words}", self.name))
    }

    pub fn import(&self, tar: &Path) -> Result<()> {
        self.docker(&format!("import {} {}", tar.display(), image::NAME)).map(drop)
    }

    /// Starts a container that sleeps; `flags` as `--network my_net`.
    pub fn run(&self, name: &str, flags: &str) -> Result<Duration> {
        let words = format!("run -d --name {name} {flags} --stop-timeout 0 {} sleep 10000", image::NAME);
        self.docker(&words).map(|(took, _)| took)
    }

    pub fn remove(&self, containers: &str) -> Result<()> {
        self.docker(&format!("rm -f {containers}")).map(drop)
    }

    /// Connects a running container: the request until its answer.
    pub fn connect(&self, network: &str, container: &str) -> Result<Duration> {
        let begun = std::time::Instant::now();
        self.api("POST", &format!("/networks/{network}/connect"), Some(&json!({ "Container": container })))?;
        Ok(begun.elapsed())
    }

    pub fn disconnect(&self, network: &str, container: &str) -> Result<()> {
        let body = json!({ "Container": container, "Force": true });
        self.api("POST", &format!("/networks/{network}/disconnect"), Some(&body)).map(drop)
    }

    /// A container's network namespace, reached from outside.
    pub fn net_of(&self, container: &str) -> Result<PathBuf> {
        let found = self.api("GET", &format!("/containers/{container}/json"), None)?;
        let pid = found.pointer("/State/Pid").and_then(Value::as_i64).context("no pid")?;
        Ok(self.space.net_of(i32::try_from(pid)?))
    }

    /// A container's address on a network.
    pub fn ip_on(&self, network: &str, container: &str) -> Result<String> {
        let found = self.api("GET", &format!("/containers/{container}/json"), None)?;
        let address = found.pointer(&format!("/NetworkSettings/Networks/{network}/IPAddress"));
        let address = address.and_then(Value::as_str).filter(|a| !a.is_empty());
        Ok(address.with_context(|| format!("{container} has no address on {network}"))?.to_owned())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some((mut child, pid)) = self.daemon.borrow_mut().take() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            let _ = wait(&mut child, Duration::from_secs(5));
        }
        interrupt::release(&self.space);
    }
}

/// What an engine's containers are counted under.
struct Cgroup(String);

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(e) = eventually("no cgroup is left", || remove_cgroups(&self.0)) {
            eprintln!("bench: {e:#}");
        }
    }
}

fn setup(name: &str, dir: &Path) -> Result<String> {
    let resolv = dir.join("resolv.conf");
    fs::write(&resolv, format!("nameserver {}\noptions attempts:1\n", swarm_tests::world::OUTSIDE))?;
    Ok(format!(
        "hostname {name}\nmount -t tmpfs -o mode=755 tmpfs /run\nmkdir /run/lock /run/cgroup\n\
         mount --rbind /sys/fs/cgroup /run/cgroup\nmount -t sysfs sysfs /sys\nmount --rbind /run/cgroup /sys/fs/cgroup\n\
         mount --bind {} /etc/resolv.conf",
        resolv.display()
    ))
}

/// Removes the cgroups of that name in every hierarchy.
fn remove_cgroups(name: &str) -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root)?.filter_map(|entry| Some(entry.ok()?.path()));
    for hierarchy in hierarchies.chain([root.to_owned()]) {
        let group = hierarchy.join(name);
        if group.is_dir() {
            remove_tree(&group);
            ensure!(!group.exists(), "the cgroup {} is still in use", group.display());
        }
    }
    Ok(())
}

/// Folders only: files in a cgroup cannot be removed and need not be.
fn remove_tree(group: &Path) {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|p| p.is_dir()).for_each(|p| remove_tree(&p));
    let _ = fs::remove_dir(group);
}
