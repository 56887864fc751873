//! Rows: what a daemon costs when nothing happens: memory, processor, traffic.

use crate::interrupt::idle;
use crate::peers::docker::Engine;
use crate::report::Row;
use crate::rig::Rig;
use crate::stats::short;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::time::Duration;
use swarm_tests::space::Space;

const QUIET: Duration = Duration::from_secs(30);
const GOAL_MB: f64 = 30.0;

/// One daemon at one moment.
struct Look {
    /// Its resident memory, MB.
    memory: f64,
    /// Of the containerd beside it.
    beside: f64,
    /// Processor time so far, ms.
    work: f64,
    /// Sent and received on eth0 so far, bytes.
    traffic: f64,
}

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let (hosts, engines) = rig.both()?;
    let (hosts, engines) = (&hosts[..2], &engines[..2]);
    let look = || -> Result<(Vec<Look>, Vec<Look>)> {
        let ours = hosts.iter().map(|h| look(h.daemon_pid()?, &h.space)).collect::<Result<_>>()?;
        let docker = |e: &Engine| look(e.pid()?, &e.space);
        Ok((ours, engines.iter().map(docker).collect::<Result<_>>()?))
    };
    let before = look()?;
    idle(QUIET)?;
    let after = look()?;
    let mut rows = Vec::new();
    for (at, role) in ["manager", "worker"].into_iter().enumerate() {
        let ours = (before.0.get(at).context("a host")?, after.0.get(at).context("a host")?);
        let docker = (before.1.get(at).context("a host")?, after.1.get(at).context("a host")?);
        rows.push(memory(role, ours.1, docker.1));
        rows.push(rate(role, ours, docker));
    }
    Ok(rows)
}

fn memory(role: &str, ours: &Look, docker: &Look) -> Row {
    let beside = format!("{} MB, and {} MB of containerd", short(docker.memory), short(docker.beside));
    Row::new(&format!("memory of an idle {role} (VmRSS)"), format!("{} MB", short(ours.memory)))
        .at_most(ours.memory, GOAL_MB, "MB")
        .beside("dockerd", beside, ours.memory / docker.memory)
}

fn rate(role: &str, ours: (&Look, &Look), docker: (&Look, &Look)) -> Row {
    let seconds = QUIET.as_secs_f64();
    let shown = |(before, after): (&Look, &Look)| {
        let share = (after.work - before.work) / (seconds * 10.0);
        let bytes = (after.traffic - before.traffic) / seconds;
        format!("{} %, {} B/s", short(share), short(bytes))
    };
    let traffic = |(before, after): (&Look, &Look)| after.traffic - before.traffic;
    Row::new(&format!("… the {role}'s processor time and traffic"), shown(ours)).beside(
        "dockerd",
        shown(docker),
        traffic(ours) / traffic(docker),
    )
}

fn look(pid: i32, space: &Space) -> Result<Look> {
    Ok(Look {
        memory: resident(pid)?,
        beside: children(pid).into_iter().filter_map(|child| resident(child).ok()).sum(),
        work: work(pid)?,
        traffic: Space::in_net(&space.net(), traffic)?,
    })
}

fn resident(pid: i32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.split_whitespace().next().context("no VmRSS")?.parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

fn children(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |task: &Path| fs::read_to_string(task.join("children")).unwrap_or_default();
    let all: String = tasks.map(|task| of(&task.path()) + " ").collect();
    all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// User and system time in ms; the kernel counts in ticks of 10 ms.
fn work(pid: i32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(") ").context("no stat")?.1.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).context("no time in stat");
    Ok((ticks(11)? + ticks(12)?) * 10.0)
}

/// Received and sent bytes of eth0 in the namespace of the calling thread.
fn traffic() -> Result<f64> {
    let all = fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = all.lines().find_map(|l| l.trim_start().strip_prefix("eth0:")).context("no eth0")?;
    let fields: Vec<f64> = line.split_whitespace().filter_map(|f| f.parse().ok()).collect();
    Ok(fields.first().context("no bytes")? + fields.get(8).context("no bytes")?)
}
