//! Managers and workers of neighbouring releases together: F36. The older ones are today's program told to keep to the
//! feature level before (`--feature-level`); `SWARMD_PREVIOUS_BIN` names a real older one to put in their place.

use crate::code;
use anyhow::{Context, Result, ensure};
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Host, Setup, World, create, decides, eventually, scenario};

/// The level before today's, which first knew `node update`.
const OLDER: [&str; 2] = ["--feature-level", "1"];

fn older(host: &Host) -> Result<()> {
    match std::env::var_os("SWARMD_PREVIOUS_BIN") {
        Some(program) => host.start_program(&program.to_string_lossy()),
        None => host.start_with(&OLDER),
    }
}

fn label(host: &Host, value: &str) -> Result<swarm_tests::Output> {
    host.ctl(&format!("node update --label-add tried={value} h1"))
}

/// A cluster of the older level: `h1` made it, the others came in as they are told.
fn form_older(w: &World, others: &[&str]) -> Result<()> {
    w.hosts().iter().try_for_each(older)?;
    let h1 = w.host(1);
    h1.ctl("init")?.ok()?;
    for (host, role) in w.hosts().iter().skip(1).zip(others) {
        host.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token(role)?))?.ok()?;
    }
    w.settled(w.hosts().len())
}

fn roll(host: &Host, start: impl Fn(&Host) -> Result<()>) -> Result<()> {
    host.stop()?;
    start(host)
}

/// Everybody takes a write, and sees those of the others.
fn all_write(w: &World, managers: usize, name: &str) -> Result<()> {
    for host in &w.hosts()[..managers] {
        decides("it writes", host, &format!("{name}_{}", host.name))?;
    }
    for host in &w.hosts()[..managers] {
        for other in &w.hosts()[..managers] {
            host.network(&format!("{name}_{}", other.name)).with_context(|| host.name.clone())?;
        }
    }
    Ok(())
}

#[test]
fn f36_rolled_up_one_by_one_the_level_rises_with_the_last_manager() {
    scenario(Setup::hosts(4), |w| {
        form_older(w, &["manager", "manager", "worker"])?;
        let (h1, h2, h4) = (w.host(1), w.host(2), w.host(4));
        create(h1, "my_net")?;
        let (a, b) = (h1.run("a", "--network my_net")?, h4.run("b", "--network my_net")?);
        all_write(w, 3, "older")?;
        for (number, left) in [(3, vec!["h1", "h2"]), (2, vec!["h1"])] {
            roll(w.host(number), Host::start)?;
            w.settled(4)?;
            all_write(w, 3, &format!("with{number}"))?;
            // Also asked of a manager that would know how, and whoever leads.
            let refused = label(w.host(number), "early")?;
            let said = refused.refused_naming(&[code::FAILED], &["feature level 2", "upgrade"])?;
            let named: Vec<&str> = ["h1", "h2", "h3"].into_iter().filter(|h| said.contains(h)).collect();
            ensure!(named == left, "{said}");
        }
        roll(h1, Host::start)?;
        w.settled(4)?;
        eventually("every manager knows it", || label(h2, "now")?.ok())?;
        for host in &w.hosts()[..3] {
            let shown = host.ctl("node inspect h1")?.ok()?;
            ensure!(shown.contains("tried"), "{}: {shown}", host.name);
        }
        all_write(w, 3, "newer")?;
        // A worker may be older for as long as it likes.
        let c = h4.run("c", "--network my_net")?;
        all_ping(&[&a, &b, &c])?;
        roll(h4, Host::start)?;
        w.settled(4)?;
        all_ping(&[&a, &b, &c])
    });
}

#[test]
fn f36_rolled_back_before_the_level_rose_everything_goes_on() {
    scenario(Setup::hosts(3), |w| {
        form_older(w, &["manager", "manager"])?;
        create(w.host(1), "before")?;
        for number in [1, 2] {
            roll(w.host(number), Host::start)?;
            w.settled(3)?;
        }
        all_write(w, 3, "mixed")?;
        for number in [2, 1] {
            roll(w.host(number), older)?;
            w.settled(3)?;
        }
        all_write(w, 3, "back")?;
        for host in w.hosts() {
            for name in ["before", "mixed_h1", "mixed_h3"] {
                host.network(name)?;
            }
        }
        // And up again, by another order.
        for number in [2, 3, 1] {
            roll(w.host(number), Host::start)?;
            w.settled(3)?;
        }
        eventually("the level has risen", || label(w.host(3), "up")?.ok()).map(drop)
    });
}

#[test]
fn f36_a_manager_below_the_level_stops_with_a_sentence_and_the_others_go_on() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        label(w.host(1), "x")?.ok()?;
        let h3 = w.host(3);
        h3.stop()?;
        let failed = h3.start_with(&OLDER).err().context("it started, below the level of the cluster")?;
        let said = format!("{failed:#}");
        let level = format!("feature level {}", swarm_model::FEATURE_LEVEL);
        ensure!(said.contains(&level) && said.contains("upgrade"), "{said}");
        create(w.host(1), "without_it")?;
        h3.start()?;
        w.settled(3)?;
        // Nor does one come in.
        let refused = {
            h3.ctl("leave --force")?.ok()?;
            h3.stop()?;
            h3.start_with(&OLDER)?;
            h3.ctl(&format!("join --token {} 10.88.0.1:2377", w.host(1).token("manager")?))?
        };
        refused.refused_naming(&[code::FAILED, code::REFUSED], &["too old", "upgrade"])?;
        h3.ctl(&format!("join --token {} 10.88.0.1:2377", w.host(1).token("worker")?))?.ok()?;
        eventually("but as a worker", || h3.run("a", "--network without_it"))?;
        // Its former self is still listed under the same name.
        let rows = w.host(1).nodes()?;
        let id = &rows.iter().find(|n| n.hostname == "h3" && n.status == "Ready").context("no h3")?.id;
        let promoted = w.host(1).ctl(&format!("node promote {id}"))?;
        promoted.refused_naming(&[code::FAILED], &["too old", "h3"]).map(drop)
    });
}
