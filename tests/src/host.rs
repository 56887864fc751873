//! One host: its namespaces, its daemon's life, its command line. Knows where the two programs are;
//! must not know what any command means.

use crate::run::{COMMAND_LIMIT, Output, run, wait, wait_gone};
use crate::space::{Space, only_child};
use crate::{eventually, view};
use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running `swarmd`.
pub struct Daemon {
    nsenter: Child,
    /// As seen from the machine.
    pub pid: i32,
}

pub struct Host {
    pub number: usize,
    pub name: String,
    pub space: Space,
    /// Its address on the wire.
    pub ip: String,
    dir: PathBuf,
    daemon: Mutex<Option<Daemon>>,
    environment: Mutex<Vec<(OsString, OsString)>>,
    under: Mutex<Vec<String>>,
}

impl Host {
    pub fn new(number: usize, name: &str, world: &Path, mark: &str) -> Result<Self> {
        let dir = world.join(name);
        fs::create_dir(&dir)?;
        let resolv = dir.join("resolv.conf");
        fs::write(&resolv, format!("nameserver {}\noptions timeout:1 attempts:1\n", crate::world::OUTSIDE))?;
        let script = format!(
            "hostname {name}\nmount -t tmpfs -o mode=755 tmpfs /run\nmkdir /run/lock /run/netns\n\
             mount -t sysfs sysfs /sys\nmount --bind {} /etc/resolv.conf",
            resolv.display()
        );
        let space = Space::new(mark, &script)?;
        let ip = format!("10.88.0.{number}");
        Ok(Self {
            number,
            name: name.to_owned(),
            space,
            ip,
            dir,
            daemon: Mutex::new(None),
            environment: Mutex::default(),
            under: Mutex::default(),
        })
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// What the host's resolver is told; before the daemon starts.
    pub fn set_resolvers(&self, servers: &[&str]) -> Result<()> {
        let lines: String = servers.iter().map(|s| format!("nameserver {s}\n")).collect();
        Ok(fs::write(self.dir.join("resolv.conf"), lines)?)
    }

    /// In the environment of daemons started from now on.
    pub fn set_environment(&self, name: &str, value: impl AsRef<OsStr>) {
        self.environment.lock().push((name.into(), value.as_ref().to_owned()));
    }

    /// Daemons started from now on are started by this program, which must become the daemon.
    pub fn start_under(&self, words: &[&str]) {
        *self.under.lock() = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&self) -> Result<()> {
        self.start_with(&[])
    }

    pub fn start_with(&self, flags: &[&str]) -> Result<()> {
        self.start_as(&binary("swarmd")?, flags)
    }

    /// As `start`, of another build of the daemon.
    pub fn start_program(&self, program: &str) -> Result<()> {
        self.start_as(program, &[])
    }

    fn start_as(&self, program: &str, flags: &[&str]) -> Result<()> {
        let mut daemon = self.spawn(program, flags)?;
        eventually("the daemon answers", || {
            if let Some(status) = daemon.nsenter.try_wait()? {
                return Ok(Err(anyhow!("the daemon ended with {status}:\n{}", self.log_end(20))));
            }
            self.ctl("info")?.ok().map(|_| Ok(()))
        })??;
        *self.daemon.lock() = Some(daemon);
        Ok(())
    }

    fn spawn(&self, program: &str, flags: &[&str]) -> Result<Daemon> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let words: Vec<String> = self.under.lock().iter().cloned().chain([program.to_owned()]).collect();
        let (program, words) = words.split_first().context("no program")?;
        let mut command = self.space.command(program);
        command
            .args(words)
            .arg("--state-dir")
            .arg(self.state_dir())
            .args(flags)
            .envs(self.environment.lock().iter().cloned());
        let mut nsenter = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let pid = only_child(&mut nsenter).with_context(|| self.log_end(20))?;
        Ok(Daemon { nsenter, pid })
    }

    /// Runs a `swarmd` that is expected to end by itself.
    pub fn swarmd(&self, flags: &[&str]) -> Result<Output> {
        let mut command = self.space.limited(Duration::from_secs(10), &binary("swarmd")?);
        command.args(flags);
        run(command, Duration::from_secs(15))
    }

    /// Asks the daemon to end (SIGTERM) and waits for it.
    pub fn stop(&self) -> Result<()> {
        self.end(Signal::SIGTERM)
    }

    /// Ends the daemon without asking (SIGKILL).
    pub fn kill(&self) -> Result<()> {
        self.end(Signal::SIGKILL)
    }

    fn end(&self, signal: Signal) -> Result<()> {
        let mut daemon = self.daemon.lock().take().context("no daemon runs here")?;
        kill(Pid::from_raw(daemon.pid), signal)?;
        let limit = Duration::from_secs(15);
        wait_gone(daemon.pid, limit)?;
        wait(&mut daemon.nsenter, limit).map(drop)
    }

    /// Waits for the daemon to end by itself; its exit code.
    pub fn ended(&self) -> Result<i32> {
        let mut daemon = self.daemon.lock().take().context("no daemon runs here")?;
        wait(&mut daemon.nsenter, Duration::from_secs(20))
    }

    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    /// Stops the daemon in its tracks (SIGSTOP), until `thaw`.
    pub fn freeze(&self) -> Result<()> {
        Ok(kill(Pid::from_raw(self.daemon_pid()?), Signal::SIGSTOP)?)
    }

    /// `nsenter` stops itself when its child is stopped, so both are woken.
    pub fn thaw(&self) -> Result<()> {
        let daemon = self.daemon.lock();
        let daemon = daemon.as_ref().context("no daemon runs here")?;
        kill(Pid::from_raw(daemon.pid), Signal::SIGCONT)?;
        Ok(kill(Pid::from_raw(i32::try_from(daemon.nsenter.id())?), Signal::SIGCONT)?)
    }

    /// The daemon's process id, as seen from the machine.
    pub fn daemon_pid(&self) -> Result<i32> {
        Ok(self.daemon.lock().as_ref().context("no daemon runs here")?.pid)
    }

    /// `swarmctl` with these words, separated by blanks.
    pub fn ctl(&self, words: &str) -> Result<Output> {
        self.ctl_args(&words.split_whitespace().collect::<Vec<_>>())
    }

    pub fn ctl_args(&self, args: &[&str]) -> Result<Output> {
        let mut command = self.space.limited(COMMAND_LIMIT, &binary("swarmctl")?);
        command.args(args);
        let mut output = run(command, COMMAND_LIMIT + Duration::from_secs(5))?;
        output.line = format!("{}# swarmctl {}", self.name, args.join(" "));
        Ok(output)
    }

    /// A `swarmctl` that goes on in the background.
    pub fn ctl_command(&self, args: &[&str]) -> Result<Command> {
        let mut command = self.space.limited(Duration::from_secs(120), &binary("swarmctl")?);
        command.args(args).stdin(Stdio::null());
        Ok(command)
    }

    /// A shell script on this host.
    pub fn sh(&self, script: &str) -> Result<Output> {
        self.space.sh(script)
    }

    pub fn token(&self, role: &str) -> Result<String> {
        self.ctl(&format!("join-token -q {role}"))?.ok()
    }

    pub fn nodes(&self) -> Result<Vec<view::NodeRow>> {
        view::nodes(&self.ctl("node ls")?.ok()?)
    }

    /// `info` as JSON.
    pub fn info(&self) -> Result<serde_json::Value> {
        view::object(&self.ctl("info --format json")?.ok()?)
    }

    /// `network inspect` as JSON.
    pub fn network(&self, reference: &str) -> Result<serde_json::Value> {
        view::object(&self.ctl(&format!("network inspect -v --format json {reference}"))?.ok()?)
    }

    /// The names of files and folders in the state folder that a member has and an outsider has not.
    pub fn membership_on_disk(&self) -> Vec<String> {
        let full = |p: &PathBuf| fs::read_dir(p).is_ok_and(|mut entries| entries.next().is_some());
        let names = ["certificates", "raft", "worker"];
        names.iter().filter(|n| full(&self.state_dir().join(n))).map(|n| (*n).to_owned()).collect()
    }

    /// Fails unless this host is outside any cluster, in its daemon's eyes and on disk.
    pub fn is_outside(&self) -> Result<()> {
        let info = self.ctl("info")?.ok()?.to_lowercase();
        if !info.contains("inactive") {
            bail!("{} should be outside any cluster: {info}", self.name);
        }
        match self.membership_on_disk() {
            left if left.is_empty() => Ok(()),
            left => bail!("{} is outside any cluster and has {left:?} on disk", self.name),
        }
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("swarmd.log")
    }

    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    pub fn log_end(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Killing is enough: the namespaces, and all that lives in them, go with `space`.
        if let Some(mut daemon) = self.daemon.lock().take() {
            let _ = kill(Pid::from_raw(daemon.pid), Signal::SIGKILL);
            let _ = wait(&mut daemon.nsenter, Duration::from_secs(5));
        }
    }
}

/// Where a program is: named by the environment (`SWARMD_BIN`, `SWARMCTL_BIN`), or built beside this test.
pub fn binary(name: &str) -> Result<String> {
    let variable = format!("{}_BIN", name.to_uppercase());
    if let Ok(path) = std::env::var(&variable) {
        return Ok(path);
    }
    let mut dir = std::env::current_exe()?;
    while dir.pop() {
        let candidate = dir.join(name);
        if candidate.is_file() {
            return Ok(candidate.to_string_lossy().into_owned());
        }
        if dir.join("deps").is_dir() {
            break;
        }
    }
    bail!("no {name} beside this test: `cargo build -p {name}` first, or set {variable}")
}
