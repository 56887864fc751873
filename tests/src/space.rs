//! Namespaces without names: held by one process that ends with us, so nothing is left behind however a test ends.
//! Knows `unshare` and `nsenter`; must not know hosts or daemons.

use crate::poll::eventually;
use crate::run::{MARK, Output, run, wait};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Network, mount, UTS and process namespaces of their own. The holder is process 1 in them: when it ends,
/// the kernel ends every process inside. It ends when its standard input, a pipe of ours, closes.
pub struct Space {
    unshare: Child,
    hold: Option<ChildStdin>,
    holder: i32,
    mark: String,
}

impl Space {
    /// `setup` is a shell script run first inside.
    pub fn new(mark: &str, setup: &str) -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "these tests make network namespaces: run them as root");
        // A shell, not `cat` itself: as process 1 it must reap what others leave behind.
        let script = format!("set -e\nip link set lo up\n{setup}\necho ready\nset +e\ncat\nexit 0");
        let mut unshare = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--uts",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
            ])
            .args(["--mount-proc", "--", "sh", "-c", &script])
            .env(MARK, mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `unshare` (package util-linux)")?;
        let hold = unshare.stdin.take();
        let mut said = String::new();
        let stdout = unshare.stdout.take().context("no pipe")?;
        BufReader::new(stdout).read_line(&mut said)?;
        ensure!(said == "ready\n", "the namespaces could not be set up (their shell said why above)");
        let holder = only_child(&mut unshare)?;
        Ok(Self { unshare, hold, holder, mark: mark.to_owned() })
    }

    /// The holder's process id, as seen from the machine.
    pub fn pid(&self) -> i32 {
        self.holder
    }

    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// A file that stands for the network namespace.
    pub fn net(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder))
    }

    /// A path as seen inside, reached from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.holder))
    }

    /// The network namespace of a process, its id as seen inside.
    pub fn net_of(&self, inner_pid: i32) -> PathBuf {
        self.path(&format!("/proc/{inner_pid}/ns/net"))
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("-t").arg(self.holder.to_string()).args(["-n", "-m", "-u", "-p", "--", program]);
        command.env(MARK, &self.mark);
        command
    }

    /// As `command`, and killed inside after `limit`: killing `nsenter` would leave it running.
    pub fn limited(&self, limit: Duration, program: &str) -> Command {
        let mut command = self.command("timeout");
        command.args(["-s", "KILL", &limit.as_secs().to_string(), program]);
        command
    }

    /// Runs a shell script inside.
    pub fn sh(&self, script: &str) -> Result<Output> {
        let limit = Duration::from_secs(60);
        let mut command = self.limited(limit, "sh");
        command.args(["-c", script]);
        run(command, limit + Duration::from_secs(5))
    }

    /// Runs `f` on a thread of its own inside a network namespace.
    pub fn in_net<T: Send>(net: &std::path::Path, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let file = File::open(net).with_context(|| format!("no network namespace at {}", net.display()))?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)?;
                f()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn close(&mut self) -> Result<()> {
        drop(self.hold.take());
        if wait(&mut self.unshare, Duration::from_secs(5)).is_err() {
            bail!("process {} held namespaces and did not end when told to; it was killed", self.holder);
        }
        Ok(())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Err(e) = self.close() {
            eprintln!("{e:#}");
        }
    }
}

/// The process id of a process's one child. An error at once when the parent ends: its child may have lived too short a
/// time to be seen.
pub fn only_child(parent: &mut Child) -> Result<i32> {
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    eventually("the child process appears", || {
        if let Some(child) = fs::read_to_string(&children)?.split_whitespace().next() {
            return Ok(Ok(child.parse()?));
        }
        match parent.try_wait()? {
            Some(status) => Ok(Err(anyhow!("it ended with {status} before it was seen"))),
            None => bail!("no child yet"),
        }
    })?
}
