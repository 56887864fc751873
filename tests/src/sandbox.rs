//! A sandbox as a test sees it: a name, a host, a network namespace to act in. Knows how to get inside one.

use crate::host::Host;
use crate::run::Output;
use crate::{eventually, view};
use anyhow::{Context, Result, ensure};
use std::net::IpAddr;
use std::path::PathBuf;

/// What runs in sandboxes that only have to be there.
const IDLE: &str = "sleep 1000";

pub struct Sandbox<'h> {
    pub host: &'h Host,
    pub name: String,
    pub id: String,
    /// Its network namespace as a path on its host.
    net: String,
    started: bool,
}

impl Host {
    /// `swarmctl run -d` of something that sleeps; `flags` as `--network my_net --alias web`.
    pub fn run(&self, name: &str, flags: &str) -> Result<Sandbox<'_>> {
        let id = self.ctl(&format!("run -d --name {name} {flags} -- {IDLE}"))?.ok()?;
        ensure!(view::is_id(&id), "run -d should print the sandbox's id, said {id:?}");
        let pid = self.sandbox_pid(name)?;
        Ok(Sandbox {
            host: self,
            name: name.to_owned(),
            id,
            net: format!("/proc/{pid}/ns/net"),
            started: true,
        })
    }

    /// The process of a sandbox's command, as its host numbers it.
    pub fn sandbox_pid(&self, name: &str) -> Result<i64> {
        let listed = view::lines(&self.ctl("ps --format json")?.ok()?)?;
        let of = |v: &serde_json::Value| view::text(v, "name").as_deref() == Some(name);
        let found =
            listed.iter().find(|v| of(v)).with_context(|| format!("{name} is not in `ps`: {listed:?}"))?;
        let pid = view::number(found, "pid").filter(|pid| *pid > 0);
        pid.with_context(|| format!("no pid in {found}"))
    }

    /// Makes a bare network namespace as any runtime would: `ip netns add`.
    pub fn bare(&self, name: &str) -> Result<String> {
        self.sh(&format!("ip netns add {name} && ip -n {name} link set lo up"))?.ok()?;
        Ok(format!("/run/netns/{name}"))
    }

    /// A bare namespace of that name, attached; `flags` as `--network my_net --ip 10.0.1.9`.
    pub fn attach(&self, name: &str, flags: &str) -> Result<Sandbox<'_>> {
        let net = self.bare(name)?;
        let id = self.ctl(&format!("attach --name {name} --netns {net} {flags}"))?.ok()?;
        Ok(Sandbox { host: self, name: name.to_owned(), id, net, started: false })
    }
}

impl Sandbox<'_> {
    /// A file that stands for its network namespace, reached from outside.
    pub fn net(&self) -> PathBuf {
        self.host.space.path(&self.net)
    }

    /// A shell script in its network namespace, with the host's files.
    pub fn sh(&self, script: &str) -> Result<Output> {
        let quoted = script.replace('\'', r"'\''");
        self.host.sh(&format!("exec nsenter --net={} sh -c '{quoted}'", self.net))
    }

    /// `swarmctl exec`: with the sandbox's own resolver, hosts and name.
    pub fn exec(&self, words: &str) -> Result<Output> {
        self.host.ctl(&format!("exec {} -- {words}", self.name))
    }

    /// Its IPv4 address on an interface.
    pub fn ip_on(&self, interface: &str) -> Result<IpAddr> {
        self.address(interface, "-4")
    }

    pub fn ip(&self) -> Result<IpAddr> {
        self.ip_on("eth0")
    }

    pub fn ip6(&self) -> Result<IpAddr> {
        self.address("eth0", "-6")
    }

    fn address(&self, interface: &str, family: &str) -> Result<IpAddr> {
        let shown = self.sh(&format!("ip -o {family} addr show dev {interface} scope global"))?.ok()?;
        let cidr =
            shown.split_whitespace().skip_while(|w| !w.starts_with("inet")).nth(1).context(shown.clone())?;
        cidr.split('/').next().unwrap_or_default().parse().with_context(|| shown.clone())
    }

    pub fn mac(&self) -> Result<String> {
        self.sh("cat /proc/net/dev >/dev/null; ip -o link show dev eth0")?
            .ok()?
            .split_whitespace()
            .skip_while(|w| *w != "link/ether")
            .nth(1)
            .map(str::to_owned)
            .context("no link/ether")
    }

    pub fn mtu(&self, interface: &str) -> Result<u32> {
        let shown = self.sh(&format!("ip -o link show dev {interface}"))?.ok()?;
        let mtu = shown.split_whitespace().skip_while(|w| *w != "mtu").nth(1);
        Ok(mtu.with_context(|| shown.clone())?.parse()?)
    }

    /// Pings once, by address or anything `ping` resolves with the host's files.
    pub fn pings(&self, target: &str) -> Result<()> {
        self.sh(&format!("ping -n -c 1 -W 1 {target}"))?.ok().map(drop)
    }

    /// Pings once by name, through the sandbox's own resolver.
    pub fn pings_name(&self, name: &str) -> Result<()> {
        self.exec(&format!("ping -n -c 1 -W 1 {name}"))?.ok().map(drop)
    }

    /// Takes the sandbox away as a user would.
    pub fn remove(self) -> Result<()> {
        let verb = if self.started { "rm -f" } else { "detach" };
        self.host.ctl(&format!("{verb} {}", self.name))?.ok().map(drop)
    }
}

/// Every one pings every other one, by address; at the first try within `eventually`'s patience.
pub fn all_ping(sandboxes: &[&Sandbox<'_>]) -> Result<()> {
    for from in sandboxes {
        for to in sandboxes {
            let target = to.ip()?.to_string();
            eventually(&format!("{} pings {}", from.name, to.name), || from.pings(&target))?;
        }
    }
    Ok(())
}
