//! Managers that cannot all reach each other: S50, F11, F12.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use swarm_tests::wire::{self, Wire};
use swarm_tests::{Host, Setup, World, create, decides, eventually, scenario, view};

fn knows(host: &Host, name: &str) -> Result<bool> {
    let listed = host.ctl("network ls --format {{.Name}} -f scope=swarm")?.ok()?;
    Ok(listed.lines().any(|line| line == name))
}

fn term(host: &Host) -> Result<i64> {
    view::number(&host.info()?, "raft_term").context("info names no term")
}

#[test]
fn s50_f11_what_a_cut_off_leader_is_told_is_not_done() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let old = w.leader()?;
        let others: Vec<&Host> = w.hosts().iter().filter(|host| host.name != old.name).collect();
        create(old, "before")?;
        let damage = Wire::new(w.wire.net());
        let cut = damage.damage(&[wire::to(&old.ip), wire::from(&old.ip)])?;
        // At once, while it still believes that it leads.
        let refused = old.ctl("network create minority")?;
        ensure!(refused.took < Duration::from_secs(20), "it hung: {refused}");
        refused.refused(&[code::UNAVAILABLE])?;
        decides("the majority goes on", others[0], "majority")?;
        // Nothing the minority shows counts as fresh.
        let read = old.ctl("network inspect majority")?;
        ensure!(read.code == code::UNAVAILABLE, "{read}");
        let listed = old.ctl("node ls")?;
        ensure!(listed.code != 0 || listed.stderr.contains("out of date"), "{listed}");
        damage.mend(cut)?;
        w.settled(3)?;
        for host in w.hosts() {
            eventually("the managers agree", || {
                ensure!(knows(host, "before")? && knows(host, "majority")?, "{}", host.name);
                ensure!(!knows(host, "minority")?, "{} has what the minority was told", host.name);
                Ok(())
            })?;
        }
        ensure!(w.leader()?.name != old.name, "it took leadership back");
        // Its name is free.
        create(old, "minority")
    });
}

#[test]
fn f11_managers_that_are_all_alone_decide_nothing_and_find_together() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let damage = Wire::new(w.wire.net());
        let cut = damage.damage(&w.hosts().iter().map(|host| wire::to(&host.ip)).collect::<Vec<_>>())?;
        for host in w.hosts() {
            host.ctl(&format!("network create by_{}", host.name))?.refused(&[code::UNAVAILABLE])?;
        }
        damage.mend(cut)?;
        for host in w.hosts() {
            decides("it writes again", host, &format!("after_{}", host.name))?;
        }
        w.settled(3)?;
        let known: Vec<bool> =
            w.hosts().iter().map(|host| knows(host, "by_h1")).collect::<Result<Vec<_>>>()?;
        ensure!(known.windows(2).all(|pair| pair[0] == pair[1]), "the managers differ: {known:?}");
        Ok(())
    });
}

/// Writes by everybody in `writers` for a while: the leader stays the same, and so does its term.
fn calm(w: &World, writers: &[&Host], name: &str) -> Result<()> {
    const WHILE: Duration = Duration::from_secs(4);
    let (leader, asked) = (w.leader()?, writers[0]);
    let (before, begun) = (term(asked)?, Instant::now());
    for round in 0.. {
        for host in writers {
            create(host, &format!("{name}{round}{}", host.name))?;
        }
        if begun.elapsed() > WHILE {
            break;
        }
    }
    let after = term(asked)?;
    ensure!(after == before, "{name}: from term {before} to {after} within {WHILE:?}");
    let leads = asked.nodes()?.into_iter().find(|n| n.manager == "Leader").map(|n| n.hostname);
    ensure!(leads.as_deref() == Some(&*leader.name), "{name}: {leads:?} leads after {}", leader.name);
    Ok(())
}

#[test]
fn f12_one_way_and_partial_cuts_bring_no_election_after_the_other() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let leader = w.leader()?;
        let others: Vec<&Host> = w.hosts().iter().filter(|host| host.name != leader.name).collect();
        let damage = Wire::new(w.wire.net());
        // One that hears nobody, and is heard.
        let deaf = damage.damage(&[wire::to(&others[1].ip)])?;
        calm(w, &[leader, others[0]], "deaf")?;
        damage.mend(deaf)?;
        w.settled(3)?;
        // One that is heard by nobody, and hears.
        let mute = damage.damage(&[wire::from(&others[1].ip)])?;
        calm(w, &[leader, others[0]], "mute")?;
        damage.mend(mute)?;
        w.settled(3)?;
        // The leader and one follower do not see each other; the third sees both.
        let (one, other) = (&leader.ip, &others[1].ip);
        let cut = damage.damage(&[wire::one_way(one, other), wire::one_way(other, one)])?;
        calm(w, &[leader, others[0]], "partial")?;
        damage.mend(cut)?;
        w.settled(3)
    });
}
