//! Three members of etcd on hosts of their own. Knows how to start them, find their leader and put a key; must not
//! know what they are measured for.

use crate::interrupt;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use swarm_tests::run::{run, wait, wait_gone};
use swarm_tests::space::only_child;
use swarm_tests::{Host, World, within};
use tonic::transport::Channel;

mod kv;

const START_LIMIT: Duration = Duration::from_secs(20);
const CLIENTS: u16 = 2379;
const PEERS: u16 = 2380;

/// What runs when nobody says otherwise, for the report. An error when it is not there.
pub fn version() -> Result<String> {
    let mut command = Command::new("etcd");
    command.arg("--version");
    let said = run(command, Duration::from_secs(10))
        .context("no etcd: install the package etcd-server (make bench does)")?
        .ok()?;
    Ok(said.lines().next().unwrap_or("etcd Version: unknown").replace(" Version:", ""))
}

pub struct Etcd<'w> {
    members: Vec<Member<'w>>,
}

impl<'w> Etcd<'w> {
    /// A fresh cluster, one member on each host; `under` is what they are started under, as `strace …`.
    pub fn start(world: &'w World, hosts: &'w [Host], under: &[&str]) -> Result<Self> {
        let all: Vec<String> = hosts.iter().map(|h| format!("{}=https://{}:{PEERS}", h.name, h.ip)).collect();
        let member = |host: &'w Host| {
            let data = tempfile::Builder::new().prefix("etcd-").tempdir_in(world.dir())?;
            let under = under.iter().map(|word| (*word).to_owned()).collect();
            Ok(Member { host, cluster: all.join(","), under, data, daemon: Mutex::default() })
        };
        let members = hosts.iter().map(member).collect::<Result<Vec<_>>>()?;
        members.iter().try_for_each(Member::spawn)?;
        let etcd = Self { members };
        etcd.leader()?;
        Ok(etcd)
    }

    /// The members' processes.
    pub fn pids(&self) -> Vec<i32> {
        self.members.iter().filter_map(|m| m.daemon.lock().as_ref().map(|(_, pid)| *pid)).collect()
    }

    /// Who leads, once all members answer and agree.
    pub fn leader(&self) -> Result<&Member<'w>> {
        let (at, _) = within(START_LIMIT, "etcd agrees on a leader", || {
            let heard = self.members.iter().map(Member::status).collect::<Result<Vec<_>>>()?;
            let leader = heard.first().context("no member")?.leader;
            anyhow::ensure!(leader != 0 && heard.iter().all(|h| h.leader == leader), "{heard:?}");
            heard.iter().position(|h| h.member == leader).context("the leader is none of them")
        })?;
        Ok(&self.members[at])
    }

    /// A member other than this one.
    pub fn other(&self, than: &Member<'_>) -> Result<&Member<'w>> {
        self.members.iter().find(|m| m.host.name != than.host.name).context("no other member")
    }
}

pub struct Member<'w> {
    host: &'w Host,
    cluster: String,
    under: Vec<String>,
    data: tempfile::TempDir,
    daemon: Mutex<Option<(Child, i32)>>,
}

impl Member<'_> {
    pub fn spawn(&self) -> Result<()> {
        interrupt::check()?;
        let (name, ip) = (&self.host.name, &self.host.ip);
        let (clients, peers) = (format!("http://{ip}:{CLIENTS}"), format!("https://{ip}:{PEERS}"));
        let mut words = self.under.iter().map(String::as_str).chain(["etcd"]);
        let mut command = self.host.space.command(words.next().unwrap_or("etcd"));
        command.args(words).args(["--name", name, "--log-level", "error", "--peer-auto-tls", "--data-dir"]);
        command.arg(self.data.path().join("data")).args(["--initial-cluster", &self.cluster]);
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let pid = only_child(&mut child)?;
        *self.daemon.lock() = Some((child, pid));
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.data.path().join("log")
    }

    /// Ends it without asking.
    pub fn kill(&self) -> Result<()> {
        let Some((mut child, pid)) = self.daemon.lock().take() else { bail!("no etcd runs here") };
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        let limit = Duration::from_secs(10);
        wait_gone(pid, limit)?;
        wait(&mut child, limit).map(drop)
    }

    /// A connection of its own to this member.
    pub async fn channel(&self) -> Result<Channel> {
        kv::connect(&self.host.space.net(), &self.host.ip, CLIENTS).await
    }

    fn status(&self) -> Result<kv::Status> {
        let ended = self.daemon.lock().as_mut().and_then(|(child, _)| child.try_wait().ok().flatten());
        if let Some(status) = ended {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            bail!("etcd ended with {status}: {:#?}", log.lines().rev().take(5).collect::<Vec<_>>());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { kv::status(self.channel().await?).await })
    }
}

pub use kv::put;

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if self.daemon.lock().is_some() {
            let _ = self.kill();
        }
    }
}
