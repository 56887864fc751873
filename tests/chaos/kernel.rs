//! The data plane once everything is calm: what the kernels hold, what becomes of damage, who reaches whom, and what is
//! left of what went. Knows I11 and I12; must not know the control plane.

use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Host, Sandbox, World, within};

/// I11: so long after the last change, a kernel is as it should be.
const WITHIN: Duration = Duration::from_secs(2);
/// Where a damaged entry points: nobody is there.
const NOWHERE: &str = "10.88.0.77";
/// The network that those on the other must never reach.
const APART: &str = "apart";

/// Kernels, damage, pings, separation: on one network with these endpoints and no others.
pub fn judge(world: &World, talkers: &[Sandbox<'_>]) -> Result<()> {
    let all: Vec<&Sandbox<'_>> = talkers.iter().collect();
    holds(&all).context("after the faults")?;
    all_ping(&all)?;
    misdirect(&all)?;
    holds(&all).context("after entries were changed by hand")?;
    all_ping(&all)?;
    apart(world, &all)
}

/// What each host forwards and answers for is every other host's endpoint, and nothing else.
pub fn holds(all: &[&Sandbox<'_>]) -> Result<()> {
    for here in all {
        let others: Vec<_> = all.iter().filter(|other| other.host.number != here.host.number).collect();
        let entry = |other: &&&Sandbox<'_>| Ok((other.mac()?.to_lowercase(), other.host.ip.clone()));
        let forwards = others.iter().map(entry).collect::<Result<BTreeMap<_, _>>>()?;
        let answers = others.iter().map(|o| Ok(o.ip()?.to_string())).collect::<Result<BTreeSet<_>>>()?;
        within(WITHIN, &format!("{}'s kernel is as it should be (I11)", here.host.name), || {
            let shown = in_overlay(here.host, "bridge fdb show dev $vx")?;
            let found: BTreeMap<_, _> = shown.lines().filter_map(forwarded).collect();
            ensure!(found == forwards, "forwards {found:?}, expected {forwards:?}");
            let shown = in_overlay(here.host, "ip -4 neigh show dev $br nud permanent")?;
            let found: BTreeSet<_> =
                shown.lines().filter_map(|l| Some(l.split(' ').next()?.to_owned())).collect();
            ensure!(found == answers, "answers for {found:?}, expected {answers:?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// `MAC dst ADDRESS …`; entries without an address are the device's own.
fn forwarded(line: &str) -> Option<(String, String)> {
    let (mac, rest) = line.split_once(" dst ")?;
    Some((mac.split(' ').next()?.to_lowercase(), rest.split(' ').next()?.to_owned()))
}

/// Points every forwarding entry elsewhere, as a confused tool would.
fn misdirect(all: &[&Sandbox<'_>]) -> Result<()> {
    for here in all {
        for other in all.iter().filter(|other| other.host.number != here.host.number) {
            let mac = other.mac()?;
            in_overlay(here.host, &format!("bridge fdb replace {mac} dev $vx dst {NOWHERE} self"))?;
        }
    }
    Ok(())
}

/// A second network: its own reach each other, and nobody reaches them from the first.
fn apart(world: &World, all: &[&Sandbox<'_>]) -> Result<()> {
    world.host(1).ctl(&format!("network create --attachable {APART}"))?.ok()?;
    let hosts: BTreeSet<usize> = all.iter().map(|one| one.host.number).collect();
    let loners =
        hosts.iter().map(|n| world.host(*n).attach(&format!("loner-{n}"), &format!("--network {APART}")));
    let loners = loners.collect::<Result<Vec<_>>>()?;
    all_ping(&loners.iter().collect::<Vec<_>>())?;
    for (one, loner) in all.iter().zip(loners.iter().cycle().skip(1)) {
        for (from, to) in [(*one, loner), (loner, *one)] {
            let target = to.ip()?.to_string();
            if from.pings(&target).is_ok() {
                bail!("{} reaches {} on another network (I12)", from.name, to.name);
            }
        }
    }
    loners.into_iter().try_for_each(Sandbox::remove)
}

/// The last endpoints go, and with them everything that was made for them.
pub fn nothing_left(world: &World, talkers: Vec<Sandbox<'_>>) -> Result<()> {
    talkers.into_iter().try_for_each(Sandbox::remove)?;
    for host in world.hosts() {
        within(WITHIN, &format!("nothing is left on {} (I11)", host.name), || {
            let found = host.sh("ls /run/swarmd/netns")?.ok()?;
            ensure!(found.is_empty(), "{found}");
            Ok(())
        })?;
    }
    Ok(())
}

/// A script where the host's one overlay network is; `$vx` and `$br` are its devices.
fn in_overlay(host: &Host, script: &str) -> Result<String> {
    let find = "for n in /run/swarmd/netns/*; do \
                nsenter --net=$n ip -o link show type vxlan | grep -q . && echo $n; done; true";
    let found = host.sh(find)?.ok()?;
    let net = found.lines().next().with_context(|| format!("no overlay network on {}", host.name))?;
    let name = |kind: &str| format!("$(ip -o link show type {kind} | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/')");
    let script = format!("vx={}; br={}; {script}", name("vxlan"), name("bridge")).replace('\'', r"'\''");
    host.sh(&format!("nsenter --net={net} sh -c '{script}'"))?.ok()
}
