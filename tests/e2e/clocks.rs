//! Wall clocks that are wrong: S54, B9, F17. Clocks are shifted under one daemon alone, by the library of `shim`.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use swarm_tests::shim;
use swarm_tests::{Host, Setup, World, create, decides, eventually, scenario, view};

const HOUR: i64 = 3_600;
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

fn term(host: &Host) -> Result<i64> {
    view::number(&host.info()?, "raft_term").context("info names no term")
}

#[test]
fn s54_f27_one_manager_goes_on_alone_though_every_certificate_has_run_out() {
    scenario(Setup::hosts(3), |w| {
        let clocks = shim::everywhere(w)?;
        w.hosts().iter().try_for_each(Host::start)?;
        let (h1, h3) = (w.host(1), w.host(3));
        h1.ctl("init --cert-expiry 1h")?.ok()?;
        for host in [w.host(2), h3] {
            host.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("manager")?))?.ok()?;
        }
        w.settled(3)?;
        create(h1, "my_net")?;
        let ids =
            |host: &Host| Ok::<BTreeSet<_>, anyhow::Error>(host.nodes()?.into_iter().map(|n| n.id).collect());
        let (nodes, token) = (ids(h1)?, h1.token("worker")?);
        w.hosts().iter().try_for_each(Host::kill)?;
        clocks.iter().try_for_each(|clock| clock.wrong_clock(2 * HOUR))?;
        h1.start()?;
        eventually("it goes on", || h1.ctl("init --force-new-cluster")?.ok())?;
        ensure!(ids(h1)? == nodes && h1.token("worker")? == token, "nodes or tokens were lost");
        ensure!(view::text(&h1.network("my_net")?, "name").as_deref() == Some("my_net"));
        create(h1, "alone")?;
        let a = h1.run("a", "--network my_net")?;
        h1.restart()?;
        decides("it leads again", h1, "later")?;
        a.remove()?;
        // One of the others is no second cluster of this name: it renews its certificate, and finds that the cluster went on.
        h3.start()?;
        eventually("it is no manager any more", || {
            h3.ctl("network create second")?.refused(&[code::UNAVAILABLE]).map(drop)
        })?;
        // It may come in as a new node, too.
        h3.ctl("leave --force")?.ok()?;
        h3.ctl(&format!("join --token {token} 10.88.0.1:2377"))?.ok()?;
        eventually("it is a worker", || h3.run("b", "--network my_net").map(drop))
    });
}

/// Two hours, give or take how long it took.
fn is_measured(text: &str) -> Result<()> {
    let told = ["2 h 0 min", "1 h 59 min"].iter().any(|span| text.contains(span));
    ensure!(told && text.contains("its manager's"), "it should say how far: {text}");
    Ok(())
}

/// Whatever becomes of a join across two hours, the user is not left to guess.
fn joins_or_says_why(w: &World, number: usize, role: &str) -> Result<()> {
    let (h1, host) = (w.host(1), w.host(number));
    let said = host.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token(role)?))?;
    if said.code != 0 {
        // An hour is what certificates are dated back.
        let text = said.refused_naming(&[code::FAILED, code::UNAVAILABLE, code::REFUSED], &["clock"])?;
        is_measured(&text)?;
        return host.is_outside();
    }
    is_measured(&said.stderr)?;
    eventually("it is ready", || {
        let row = h1.nodes()?.into_iter().find(|n| n.hostname == host.name);
        ensure!(row.as_ref().is_some_and(|n| n.status == "Ready"), "{row:?}");
        Ok(())
    })?;
    host.run(&format!("on_{}", host.name), "--network my_net").map(drop)
}

#[test]
fn b9_clocks_two_hours_apart_join_or_are_told_how_far() {
    scenario(Setup::hosts(5), |w| {
        let clocks = shim::everywhere(w)?;
        for (clock, hours) in clocks.iter().zip([0, 2, -2, 2, -2]) {
            clock.wrong_clock(hours * HOUR)?;
        }
        w.hosts().iter().try_for_each(Host::start)?;
        w.host(1).ctl("init")?.ok()?;
        create(w.host(1), "my_net")?;
        for (number, role) in [(2, "worker"), (3, "worker"), (4, "manager"), (5, "manager")] {
            joins_or_says_why(w, number, role)?;
        }
        create(w.host(1), "after")
    });
}

#[test]
fn f17_wall_clocks_decide_no_election() {
    scenario(Setup::hosts(3), |w| {
        let clocks = shim::everywhere(w)?;
        w.form(&["manager", "manager"])?;
        w.hosts().iter().try_for_each(shim::is_loaded)?;
        let leader = w.leader()?;
        let follower = leader.number % 3;
        let before = term(leader)?;
        let mut count = 0;
        for (what, numbers, seconds) in [
            ("the leader an hour ahead", vec![leader.number - 1], HOUR),
            ("the leader an hour behind", vec![leader.number - 1], -HOUR),
            ("a follower ten years ahead", vec![follower], TEN_YEARS),
            ("the leader ten years ahead", vec![leader.number - 1], TEN_YEARS),
            ("all an hour behind", vec![0, 1, 2], -HOUR),
            ("all ten years ahead", vec![0, 1, 2], TEN_YEARS),
        ] {
            numbers.iter().try_for_each(|n| clocks[*n].wrong_clock(seconds))?;
            for _ in 0..10 {
                create(leader, &format!("net{count}")).with_context(|| what.to_owned())?;
                count += 1;
            }
            ensure!(term(leader)? == before, "{what}: an election");
            numbers.iter().try_for_each(|n| clocks[*n].wrong_clock(0))?;
            w.settled(3)?;
        }
        ensure!(w.leader()?.name == leader.name && term(leader)? == before);
        Ok(())
    });
}
