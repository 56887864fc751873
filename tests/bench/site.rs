//! One end of an overlay, whoever made it: a namespace on a host, and an address in it. Knows how to act in there.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use swarm_tests::Host;
use swarm_tests::run::Output;
use swarm_tests::space::{Space, only_child};

pub struct Site<'h> {
    pub host: &'h Host,
    /// As a path on its host.
    pub netns: String,
    pub ip: String,
}

impl Site<'_> {
    /// A file that stands for its namespace, reached from outside.
    pub fn net(&self) -> PathBuf {
        self.host.space.path(&self.netns)
    }

    pub fn address(&self) -> Result<Ipv4Addr> {
        self.ip.parse().with_context(|| self.ip.clone())
    }

    pub fn sh(&self, script: &str) -> Result<Output> {
        self.host.sh(&format!("exec nsenter --net={} {script}", self.netns))
    }

    /// Starts a program that goes on until its host ends.
    pub fn start(&self, program: &str, args: &[&str]) -> Result<Started> {
        let mut command = self.host.space.command("nsenter");
        command.arg(format!("--net={}", self.netns)).arg(program).args(args);
        let mut outer = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let pid = only_child(&mut outer)?;
        Ok(Started { outer, pid })
    }
}

/// A program started by [`Site::start`].
pub struct Started {
    outer: Child,
    pid: i32,
}

impl Started {
    pub fn end(&mut self) -> Result<()> {
        kill(Pid::from_raw(self.pid), Signal::SIGKILL)?;
        self.outer.wait()?;
        Ok(())
    }
}

/// Fails unless an interface of that name is up in the namespace and has that IPv4 address.
pub fn usable(net: &Path, interface: &str, address: &str) -> Result<()> {
    use nix::net::if_::InterfaceFlags;
    let wanted: Ipv4Addr = address.split('/').next().unwrap_or_default().parse().context("no address")?;
    let ready = Space::in_net(net, || {
        let mut all = nix::ifaddrs::getifaddrs()?.filter(|i| i.interface_name == interface);
        Ok(all.any(|i| {
            i.flags.contains(InterfaceFlags::IFF_UP)
                && i.address.and_then(|a| a.as_sockaddr_in().map(|a| a.ip())) == Some(wanted)
        }))
    })?;
    ensure!(ready, "{interface} was not up with {address} when the answer came");
    Ok(())
}
