//! Managers and workers that go and come back: S39, S42, S52, S56, S58, S72, F01 to F03, F18.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use swarm_tests::rng::Rng;
use swarm_tests::sandbox::all_ping;
use swarm_tests::stream::Stream;
use swarm_tests::wire::{self, Wire};
use swarm_tests::{Host, Sandbox, Setup, create, decides, eventually, scenario, view, within};

/// A failover has taken about 0.8 s; the rest is for debug builds on a busy machine.
const FAILOVER: Duration = Duration::from_secs(5);

fn networks(host: &Host) -> Result<BTreeSet<String>> {
    let listed = host.ctl("network ls --format {{.Name}} -f scope=swarm")?.ok()?;
    Ok(listed.lines().map(str::to_owned).collect())
}

fn has_all(host: &Host, names: &BTreeSet<String>) -> Result<()> {
    eventually(&format!("{} knows every network that was acknowledged", host.name), || {
        let known = networks(host)?;
        let lost: Vec<_> = names.difference(&known).collect();
        ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        Ok(())
    })
}

fn status(asked: &Host, name: &str) -> Result<view::NodeRow> {
    asked.nodes()?.into_iter().find(|n| n.hostname == name).with_context(|| format!("{name} is not listed"))
}

/// Datagrams that never stop, from one sandbox to another.
fn stream(from: &Sandbox<'_>, to: &Sandbox<'_>) -> Result<Stream> {
    Stream::start(&format!("{} to {}", from.name, to.name), from.net(), to.net(), to.ip()?)
}

#[test]
fn s39_f01_another_leads_at_once_and_the_old_one_returns_as_a_follower() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let mut acknowledged = BTreeSet::new();
        for (round, how) in ["stopped", "killed", "killed"].into_iter().enumerate() {
            let old = w.leader()?;
            let asked = w.hosts().iter().find(|host| host.name != old.name).context("three hosts")?;
            let before = format!("before{round}");
            create(asked, &before)?;
            if how == "stopped" {
                old.stop()?
            } else {
                old.kill()?
            }
            let after = format!("after{round}");
            let written = asked.ctl(&format!("network create {after}"))?;
            ensure!(written.took < FAILOVER, "{written}");
            println!("leader {how} until the next write: {:?}", written.took);
            written.ok()?;
            acknowledged.extend([before, after]);
            let new = status(asked, &w.leader()?.name)?;
            ensure!(new.hostname != old.name);
            old.start()?;
            w.settled(3)?;
            ensure!(w.leader()?.name == new.hostname, "the old leader took leadership back");
            for host in w.hosts() {
                has_all(host, &acknowledged)?;
            }
        }
        Ok(())
    });
}

#[test]
fn f02_a_killed_follower_is_not_missed_also_amid_its_snapshots() {
    scenario(Setup::hosts(3), |w| {
        w.hosts().iter().try_for_each(Host::start)?;
        let (h1, h3) = (w.host(1), w.host(3));
        // A snapshot every few entries, so that some are always being made, sent or taken.
        h1.ctl("init --snapshot-interval 5")?.ok()?;
        for host in [w.host(2), h3] {
            host.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("manager")?))?.ok()?;
        }
        w.settled(3)?;
        let over = AtomicBool::new(false);
        let written = std::thread::scope(|scope| {
            let over = &over;
            let writer = scope.spawn(move || -> Result<BTreeSet<String>> {
                let mut written = BTreeSet::new();
                while !over.load(Ordering::Relaxed) {
                    let name = format!("net{}", written.len());
                    create(h1, &name)?;
                    written.insert(name);
                }
                Ok(written)
            });
            let kills = (0..4).try_for_each(|_| {
                h3.kill()?;
                h3.start()
            });
            over.store(true, Ordering::Relaxed);
            let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            kills.and(written)
        })?;
        println!("{} writes, none failed", written.len());
        w.settled(3)?;
        has_all(h3, &written)
    });
}

#[test]
fn s42_f03_without_any_manager_traffic_and_names_go_on_and_sessions_come_back() {
    scenario(Setup::hosts(5), |w| {
        w.form(&["manager", "manager", "worker", "worker"])?;
        let (h1, h4, h5) = (w.host(1), w.host(4), w.host(5));
        create(h1, "my_net")?;
        let (a, b) = (h4.run("a", "--network my_net")?, h5.run("b", "--network my_net")?);
        all_ping(&[&a, &b])?;
        let links = |host: &Host| host.sh("ip -o link show")?.ok();
        let (flow, before) = (stream(&a, &b)?, links(h4)?);
        for manager in 1..=3 {
            w.host(manager).kill()?;
        }
        eventually("the workers have noticed", || {
            ensure!(view::text(&h4.info()?, "session_manager").is_none_or(|manager| manager.is_empty()));
            Ok(())
        })?;
        ensure!(a.resolves("b")? == [b.ip()?.to_string()], "names go on");
        b.pings_name("a")?;
        w.host(1).start()?;
        w.host(2).start()?;
        let quorum = Instant::now();
        decides("there is a leader and it writes", h1, "after")?;
        println!("a quorum is back until a write: {:?}", quorum.elapsed());
        ensure!(quorum.elapsed() < FAILOVER, "{:?}", quorum.elapsed());
        w.host(3).start()?;
        w.settled(5)?;
        ensure!(links(h4)? == before, "links were made anew");
        let c = h4.run("c", "--network my_net")?;
        all_ping(&[&a, &b, &c])?;
        ensure!(flow.end()? > 0);
        Ok(())
    });
}

#[test]
fn s52_a_follower_that_cannot_be_reached_is_shown_so_and_the_rest_goes_on() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h3) = (w.host(1), w.host(3));
        let damage = Wire::new(w.wire.net());
        let cut = damage.damage(&[wire::to(&h3.ip), wire::from(&h3.ip)])?;
        let (_, took) = within(Duration::from_secs(10), "h3 is unreachable", || {
            ensure!(status(h1, "h3")?.manager == "Unreachable", "{:?}", status(h1, "h3")?);
            Ok(())
        })?;
        println!("cut off until Unreachable: {took:?}");
        for host in [h1, w.host(2)] {
            create(host, &format!("by_{}", host.name))?;
            let rows = host.nodes()?;
            let rest = rows.iter().filter(|n| n.hostname != "h3");
            ensure!(rest.clone().all(|n| n.status == "Ready" && n.manager != "Unreachable"), "{rows:?}");
        }
        w.host(4).run("a", "--network by_h1")?;
        damage.mend(cut)?;
        w.settled(4)
    });
}

#[test]
fn s56_seven_nodes_killed_and_restarted_lose_nothing_that_was_acknowledged() {
    const MANAGERS: usize = 5;
    let mut chance = Rng::new(56);
    scenario(Setup::hosts(7), |w| {
        w.form(&["manager", "manager", "manager", "manager", "worker", "worker"])?;
        let mut acknowledged = BTreeSet::new();
        for round in 0..5 {
            // At most two managers of five, and perhaps a worker.
            let mut victims = BTreeSet::from([1 + chance.below(MANAGERS), 1 + chance.below(MANAGERS)]);
            if chance.percent(50) {
                victims.insert(MANAGERS + 1 + chance.below(2));
            }
            victims.iter().try_for_each(|number| w.host(*number).kill())?;
            for asked in (1..=MANAGERS).filter(|number| !victims.contains(number)) {
                let name = format!("round{round}by{asked}");
                // What failed is unknown, and not counted.
                if create(w.host(asked), &name).is_ok() {
                    acknowledged.insert(name);
                }
            }
            victims.iter().try_for_each(|number| w.host(*number).start())?;
        }
        w.settled(7)?;
        ensure!(acknowledged.len() >= 10, "hardly anything was written: {acknowledged:?}");
        (1..=MANAGERS).try_for_each(|number| has_all(w.host(number), &acknowledged))
    });
}

/// `session … with manager …` in a daemon's log: a session that began.
fn sessions_begun(host: &Host) -> usize {
    host.log().lines().filter(|line| line.contains("session ") && line.contains("with manager")).count()
}

/// Sees every state of every node while something happens.
fn states_during(asked: &Host, happens: impl FnOnce() -> Result<()>) -> Result<BTreeSet<String>> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        let watcher = scope.spawn(move || -> Result<BTreeSet<String>> {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                seen.extend(asked.nodes()?.into_iter().map(|n| format!("{} {}", n.hostname, n.status)));
            }
            Ok(seen)
        });
        let happened = happens();
        over.store(true, Ordering::Relaxed);
        let seen = watcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        happened.and(seen)
    })
}

#[test]
fn s58_a_leader_change_disturbs_no_session_elsewhere_and_no_endpoint() {
    scenario(Setup::hosts(5), |w| {
        w.form(&["manager", "manager", "worker", "worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        ensure!(w.leader()?.name == "h1");
        create(h1, "my_net")?;
        let (a, b) = (w.host(4).run("a", "--network my_net")?, w.host(5).run("b", "--network my_net")?);
        let endpoints = || Ok::<_, anyhow::Error>(view::find(&h2.network("my_net")?, "endpoints").cloned());
        let (flow, before) = (stream(&a, &b)?, endpoints()?);
        let leader = status(h1, "h1")?.id;
        let elsewhere = |host: &&Host| {
            Ok::<_, anyhow::Error>(view::text(&host.info()?, "session_manager").as_deref() != Some(&*leader))
        };
        let mut kept = Vec::new();
        for host in &w.hosts()[1..] {
            if elsewhere(&host)? {
                kept.push((host, sessions_begun(host)));
            }
        }
        println!("{} sessions are with other managers", kept.len());
        let seen = states_during(h2, || {
            h1.kill()?;
            create(h2, "after")?;
            eventually("every session is somewhere", || {
                for host in &w.hosts()[1..] {
                    let with = view::text(&host.info()?, "session_manager").unwrap_or_default();
                    ensure!(!with.is_empty() && with != leader, "{} is with {with:?}", host.name);
                }
                Ok(())
            })
        })?;
        let disturbed: Vec<_> =
            seen.iter().filter(|s| s.ends_with("Down") && !s.starts_with("h1 ")).collect();
        ensure!(disturbed.is_empty(), "{disturbed:?}");
        for (host, sessions) in kept {
            ensure!(sessions_begun(host) == sessions, "{} opened another session", host.name);
        }
        ensure!(endpoints()? == before, "endpoints changed");
        all_ping(&[&a, &b])?;
        flow.end().map(drop)
    });
}

#[test]
fn s58_sessions_of_a_lost_manager_move_and_no_node_is_shown_down() {
    scenario(Setup::hosts(5), |w| {
        w.form(&["manager", "manager", "worker", "worker"])?;
        let workers = [w.host(4), w.host(5)];
        let with = |host: &Host| Ok::<_, anyhow::Error>(view::text(&host.info()?, "session_manager"));
        let holder = with(workers[0])?.context("h4 has no session")?;
        let ids = w.host(1).nodes()?;
        let lost = ids.iter().find(|n| n.id == holder).context("it is with nobody listed")?.hostname.clone();
        let lost = w.hosts().iter().find(|host| host.name == lost).context("no such host")?;
        let asked = w.hosts().iter().find(|host| host.name != lost.name).context("no other")?;
        let seen = states_during(asked, || {
            lost.kill()?;
            let (_, took) = within(Duration::from_secs(5), "the sessions are elsewhere", || {
                for worker in workers {
                    let now = with(worker)?.filter(|manager| !manager.is_empty());
                    ensure!(
                        now.as_ref().is_some_and(|now| *now != holder),
                        "{} is with {now:?}",
                        worker.name
                    );
                }
                Ok(())
            })?;
            println!("manager killed until its sessions are elsewhere: {took:?}");
            create(asked, "after")
        })?;
        let down: Vec<_> =
            seen.iter().filter(|s| s.ends_with("Down") && !s.starts_with(&lost.name)).collect();
        ensure!(down.is_empty(), "{down:?}");
        Ok(())
    });
}

#[test]
fn s72_a_killed_worker_is_down_after_three_heartbeats_and_ready_when_it_is_back() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        for _ in 0..2 {
            h2.kill()?;
            let (_, took) = within(Duration::from_secs(15), "h2 is down", || {
                ensure!(status(h1, "h2")?.status == "Down", "{:?}", status(h1, "h2")?);
                Ok(())
            })?;
            println!("killed until Down: {took:?}");
            h2.start()?;
            eventually("h2 is ready", || {
                ensure!(status(h1, "h2")?.status == "Ready");
                Ok(())
            })?;
        }
        Ok(())
    });
}

#[test]
fn f18_a_leader_that_was_stopped_shows_nothing_old_as_fresh() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        for round in 0..3 {
            let (old, name) = (w.leader()?, format!("round{round}"));
            let asked = w.hosts().iter().find(|host| host.name != old.name).context("three hosts")?;
            old.freeze()?;
            let written = decides("another leads and writes", asked, &name);
            old.thaw()?;
            written?;
            // It may not know yet, or not answer; it may not say that there is none.
            let read = old.ctl(&format!("network inspect {name}"))?;
            ensure!(read.code == 0 || read.code == crate::code::UNAVAILABLE, "a stale read: {read}");
            w.settled(3)?;
        }
        Ok(())
    });
}

#[test]
fn f18_a_worker_that_was_stopped_goes_on_without_touching_its_networks() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        create(h1, "my_net")?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        all_ping(&[&a, &b])?;
        // Link numbers, which anything made anew would change.
        let links = || b.sh("ip -o link show; ip -4 addr show; ip route show")?.ok();
        let overlay = || h2.sh("for n in /run/swarmd/netns/*; do nsenter --net=$n ip -o link; done")?.ok();
        let (flow, before) = (stream(&a, &b)?, (links()?, overlay()?));
        h2.freeze()?;
        let down = eventually("it counts as down", || {
            ensure!(status(h1, "h2")?.status == "Down", "{:?}", status(h1, "h2")?);
            Ok(())
        });
        h2.thaw()?;
        down?;
        w.settled(2)?;
        let c = h2.run("c", "--network my_net")?;
        all_ping(&[&a, &b, &c])?;
        c.remove()?;
        eventually("the kernel is as it was", || {
            ensure!((links()?, overlay()?) == before);
            Ok(())
        })?;
        flow.end().map(drop)
    });
}
