//! Disks that fail, fill up or are slow: F06, F08, F09.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use swarm_tests::{Host, Setup, World, eventually, scenario, shim, view};

fn create(host: &Host, name: &str) -> Result<Duration> {
    let done = host.ctl(&format!("network create {name}"))?;
    let took = done.took;
    done.ok().map(|_| took)
}

fn knows(host: &Host, name: &str) -> Result<()> {
    let listed = host.ctl("network ls --format {{.Name}} -f scope=swarm")?.ok()?;
    ensure!(listed.lines().any(|line| line == name), "{} does not list {name}", host.name);
    Ok(())
}

fn term(host: &Host) -> Result<i64> {
    view::number(&host.info()?, "raft_term").context("info names no term")
}

fn others<'w>(w: &'w World, than: &Host) -> Vec<&'w Host> {
    w.hosts().iter().filter(|host| host.name != than.name).collect()
}

#[test]
fn f06_a_manager_whose_disk_fails_ends_and_its_peers_go_on() {
    scenario(Setup::hosts(3), |w| {
        let shims = shim::everywhere(w)?;
        w.form(&["manager", "manager"])?;
        w.hosts().iter().try_for_each(shim::is_loaded)?;
        for (round, leads) in [false, true].into_iter().enumerate() {
            let leader = w.leader()?;
            let broken = if leads { leader } else { others(w, leader)[0] };
            let asked = others(w, broken)[0];
            create(asked, &format!("before{round}"))?;
            // Whatever the daemon flushes first: it is Raft's flush that must end it.
            shims[broken.number - 1].broken_disk(1_000)?;
            let name = format!("during{round}");
            let written = asked.ctl(&format!("network create {name}"))?;
            let code = broken.ended()?;
            ensure!(code == 1, "it ended with {code}");
            let said = broken.log_end(5);
            ensure!(said.contains("swarmd: "), "it should say why it ended: {said}");
            // Known or not to who asked, what was acknowledged is there.
            if written.code == 0 {
                knows(asked, &name)?;
            }
            eventually("the others go on", || create(asked, &format!("after{round}")))?;
            shims[broken.number - 1].broken_disk(0)?;
            broken.start()?;
            w.settled(3)?;
            for host in w.hosts() {
                for name in [format!("before{round}"), format!("after{round}")] {
                    eventually("every manager knows it", || knows(host, &name))?;
                }
            }
        }
        Ok(())
    });
}

/// Gives the host a small disk of its own for its state, before its daemon starts.
fn on_a_small_disk(host: &Host) -> Result<()> {
    let dir = host.state_dir();
    let dir = dir.display();
    host.sh(&format!("mkdir -p {dir} && mount -t tmpfs -o size=160m tmpfs {dir}"))?.ok().map(drop)
}

/// Up to the little that what is under way still needs: a disk that ends in the middle of a write is a broken one.
fn fill(host: &Host) -> Result<()> {
    let dir = host.state_dir();
    let dir = dir.display();
    let left = "$(($(stat -f -c '%a * %S' .) - 8388608))";
    host.sh(&format!("cd {dir} && fallocate -l {left} ballast"))?.ok().map(drop)
}

fn empty(host: &Host) -> Result<()> {
    host.sh(&format!("rm {}/ballast", host.state_dir().display()))?.ok().map(drop)
}

#[test]
fn f08_full_disks_cost_nothing_but_what_cannot_be_written() {
    scenario(Setup::hosts(3), |w| {
        w.hosts().iter().try_for_each(on_a_small_disk)?;
        w.form(&["manager", "manager"])?;
        create(w.host(1), "before")?;
        // A follower's: the others do not notice.
        let leader = w.leader()?;
        let follower = others(w, leader)[1];
        fill(follower)?;
        create(leader, "without_the_follower")?;
        empty(follower)?;
        w.settled(3)?;
        eventually("it catches up", || knows(follower, "without_the_follower"))?;
        // The leader's: it steps aside.
        fill(leader)?;
        eventually("another one leads", || {
            let now = w.leader()?;
            ensure!(now.name != leader.name, "{} still leads", leader.name);
            Ok(())
        })?;
        eventually("the others write", || create(others(w, leader)[0], "without_the_leader"))?;
        empty(leader)?;
        eventually("it catches up", || knows(leader, "without_the_leader"))?;
        w.settled(3)?;
        // Everybody's: no writes, with a reason, and everything can be read.
        w.hosts().iter().try_for_each(fill)?;
        eventually("writes are refused with the reason", || {
            let refused = w.host(1).ctl("network create too_much")?;
            let said = refused.refused(&[code::FAILED, code::UNAVAILABLE])?;
            ensure!(said.contains("disk") || said.contains("space"), "{said}");
            Ok(())
        })?;
        knows(w.host(2), "without_the_leader")?;
        w.hosts().iter().try_for_each(empty)?;
        eventually("there is space, and writes pass", || create(w.host(1), "after"))?;
        w.settled(3)
    });
}

/// Writes of which none fails, while nobody else is elected. Answers the median.
fn writes_calmly(asked: &Host, name: &str, count: usize) -> Result<Duration> {
    let before = term(asked)?;
    let times: Result<Vec<Duration>> = (0..count).map(|n| create(asked, &format!("{name}{n}"))).collect();
    let mut times = times.with_context(|| name.to_owned())?;
    ensure!(term(asked)? == before, "{name}: an election");
    times.sort();
    Ok(times[times.len() / 2])
}

#[test]
fn f09_slow_disks_bring_no_election_and_one_slow_follower_slows_nobody() {
    scenario(Setup::hosts(3).alone(), |w| {
        let shims = shim::everywhere(w)?;
        w.form(&["manager", "manager"])?;
        let leader = w.leader()?;
        let usual = writes_calmly(leader, "usual", 15)?;
        let slow = others(w, leader)[0].number - 1;
        shims[slow].slow_disk(Duration::from_secs(1))?;
        let beside = writes_calmly(leader, "beside", 15)?;
        shims[slow].slow_disk(Duration::ZERO)?;
        println!("a write: {usual:?}, with one slow follower: {beside:?}");
        ensure!(
            beside < usual * 2 + Duration::from_millis(100),
            "{usual:?}, with one slow follower {beside:?}"
        );
        for (ms, count) in [(20, 10), (200, 6), (1000, 2)] {
            shims.iter().try_for_each(|shim| shim.slow_disk(Duration::from_millis(ms)))?;
            let all = writes_calmly(leader, &format!("all{ms}n"), count)?;
            println!("with {ms} ms more for each fsync: {all:?}");
        }
        shims.iter().try_for_each(|shim| shim.slow_disk(Duration::ZERO))?;
        w.settled(3)
    });
}
