//! Disks that fail, fill up or are slow: F06, F08, F09.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use swarm_tests::{Host, Setup, World, decides, eventually, scenario, shim, view, within};

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
            decides("the others go on", asked, &format!("after{round}"))?;
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
        decides("the others write", others(w, leader)[0], "without_the_leader")?;
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
        decides("there is space, and writes pass", w.host(1), "after")?;
        w.settled(3)
    });
}

/// The host whose manager holds the session of `worker`.
fn served_by<'w>(w: &'w World, worker: &Host) -> Result<&'w Host> {
    let manager = view::text(&worker.info()?, "session_manager").context("there is no session")?;
    let id = |host: &&Host| {
        host.info().ok().and_then(|info| view::text(&info, "node_id")) == Some(manager.clone())
    };
    w.hosts().iter().find(id).with_context(|| format!("the session is with {manager}, which is no host"))
}

fn is_listed(asked: &Host, host: &Host, as_what: &str) -> Result<()> {
    let row = asked.nodes()?.into_iter().find(|row| row.hostname == host.name).context("it is not listed")?;
    ensure!(row.manager == as_what, "{} is listed as {:?}", host.name, row.manager);
    Ok(())
}

/// Found by a breaker: it was shown as reachable, its loss counted as borne, and its workers lived in the past.
#[test]
fn f08_a_manager_whose_disk_is_full_counts_for_nothing_and_sends_its_workers_elsewhere() {
    scenario(Setup::hosts(4), |w| {
        w.hosts().iter().take(3).try_for_each(on_a_small_disk)?;
        w.form(&["manager", "manager", "worker"])?;
        let worker = w.host(4);
        let full = served_by(w, worker)?;
        let asked = others(w, full)[0];
        fill(full)?;
        within(Duration::from_secs(15), "it is shown", || {
            is_listed(asked, full, "Unreachable (disk full)")?;
            let said = asked.ctl("info")?.ok()?;
            ensure!(said.contains("3 (2 reachable)") && said.contains("the loss of no manager"), "{said}");
            let warned = asked.ctl("node ls")?.stderr;
            ensure!(warned.contains("no room left") && warned.contains(&full.name), "{warned}");
            let pretty = asked.ctl(&format!("node inspect --pretty {}", full.name))?.ok()?;
            ensure!(pretty.contains("Unreachable (disk full)"), "{pretty}");
            Ok(())
        })?;
        // One more may not go: it would be missed.
        let other = others(w, full)[1];
        let refused = asked.ctl(&format!("node demote {}", other.name))?;
        ensure!(refused.code != 0 && refused.stderr.contains("full"), "{refused}");
        within(Duration::from_secs(20), "the worker's session is elsewhere", || {
            let now = served_by(w, worker)?;
            ensure!(now.name != full.name, "it is with {}", now.name);
            Ok(())
        })?;
        asked.ctl("network create --attachable after")?.ok()?;
        eventually("the worker hears of it", || worker.run("a", "--network after").map(drop))?;
        empty(full)?;
        within(Duration::from_secs(15), "it is one of them again", || {
            let row =
                asked.nodes()?.into_iter().find(|row| row.hostname == full.name).context("not listed")?;
            ensure!(row.manager == "Reachable" || row.manager == "Leader", "{row:?}");
            knows(full, "after")
        })?;
        w.settled(4)
    });
}

/// On a disk of its own on which a manager has no room to begin.
fn on_a_tiny_disk(host: &Host) -> Result<()> {
    let dir = host.state_dir();
    let dir = dir.display();
    let make = "truncate -s 48M /run/disk && mkfs.ext4 -q /run/disk";
    host.sh(&format!("{make} && mkdir -p {dir} && mount -o loop /run/disk {dir}"))?.ok().map(drop)
}

fn off_the_tiny_disk(host: &Host) -> Result<()> {
    host.stop()?;
    host.sh(&format!("umount {}", host.state_dir().display()))?.ok().map(drop)
}

#[test]
fn f08_no_manager_begins_where_it_could_not_go_on() {
    scenario(Setup::hosts(2), |w| {
        let too_little = ["not enough room", "MiB there to begin", "MiB are free"];
        let (first, tiny) = (w.host(1), w.host(2));
        on_a_tiny_disk(tiny)?;
        w.hosts().iter().try_for_each(Host::start)?;
        first.ctl("init")?.ok()?;
        let join = |role: &str| -> Result<String> {
            Ok(format!("join --token {} {}:2377", first.token(role)?, first.ip))
        };
        for begin in ["init".to_owned(), join("manager")?] {
            tiny.ctl(&begin)?.refused_naming(&[code::FAILED], &too_little)?;
            let dir = tiny.state_dir();
            let left = format!("ls -d {0}/raft* {0}/certificates 2>/dev/null; true", dir.display());
            let left = tiny.sh(&left)?.ok()?;
            ensure!(left.is_empty(), "`{begin}` left {left}");
        }
        // It was let in before it said what for, and has taken its leave.
        first.ctl("node rm h2")?.ok()?;
        // A worker needs next to nothing.
        tiny.ctl(&join("worker")?)?.ok()?;
        off_the_tiny_disk(tiny)
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
