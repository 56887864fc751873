//! A cluster that went on twice, each time without the other: by `--force-new-cluster` behind a cut. S53, F27.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use swarm_tests::wire::{self, Wire};
use swarm_tests::{Host, Setup, create, decides, eventually, scenario, view, within};

fn knows(host: &Host, name: &str) -> Result<bool> {
    let listed = host.ctl("network ls --format {{.Name}} -f scope=swarm")?.ok()?;
    Ok(listed.lines().any(|line| line == name))
}

fn is(host: &Host, role: &str) -> Result<()> {
    let said = view::text(&host.info()?, "role").context("info names no role")?;
    ensure!(said == role, "{} is a {said}", host.name);
    Ok(())
}

/// `info` and `node ls` say all of this.
fn is_warned(host: &Host, facts: &[&str]) -> Result<()> {
    let (info, listed) = (host.ctl("info")?.ok()?, host.ctl("node ls")?);
    for fact in facts {
        ensure!(info.contains(fact), "{}: info does not say {fact:?}: {info}", host.name);
        ensure!(listed.stderr.contains(fact), "{}: node ls does not say {fact:?}: {listed}", host.name);
    }
    Ok(())
}

#[test]
fn s53_two_survivors_that_went_on_apart_know_it_and_keep_apart() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h2, h3, h4) = (w.host(1), w.host(2), w.host(3), w.host(4));
        h3.kill()?;
        let damage = Wire::new(w.wire.net());
        let cut = damage.damage(&[wire::to(&h1.ip), wire::from(&h1.ip)])?;
        h1.ctl("init --force-new-cluster")?.ok()?;
        h2.ctl("init --force-new-cluster")?.ok()?;
        create(h1, "by_h1")?;
        create(h2, "by_h2")?;
        eventually("the worker is with the one it reaches", || h4.run("a", "--network by_h2").map(drop))?;
        damage.mend(cut)?;
        within(Duration::from_secs(30), "both are warned", || {
            is_warned(h1, &["another branch", "h2 (10.88.0.2:2377)", "leave --force"])?;
            is_warned(h2, &["another branch", "h1 (10.88.0.1:2377)", "leave --force"])
        })?;
        ensure!(knows(h1, "by_h1")? && !knows(h1, "by_h2")?, "h1 has lost or won something");
        ensure!(knows(h2, "by_h2")? && !knows(h2, "by_h1")?, "h2 has lost or won something");
        let refused = h2.ctl("rejoin 10.88.0.1:2377")?;
        refused.refused_naming(&[code::REFUSED], &["another branch", "epoch 1-", "leave --force"])?;
        // The worker stays where it is until an operator says otherwise.
        h4.restart()?;
        eventually("it is still there", || h4.run("b", "--network by_h2").map(drop))?;
        h4.ctl("rejoin 10.88.0.1:2377")?.ok()?;
        eventually("the worker has changed sides", || h4.run("c", "--network by_h1").map(drop))?;
        let token = h1.token("manager")?;
        h2.ctl("leave --force")?.ok()?;
        h2.ctl(&format!("join --token {token} 10.88.0.1:2377"))?.ok()?;
        eventually("one cluster", || {
            ensure!(knows(h2, "by_h1")? && !knows(h2, "by_h2")?);
            Ok(())
        })?;
        h3.start()?;
        within(Duration::from_secs(30), "who was away follows", || is(h3, "worker")).map(drop)
    });
}

/// h1, cut off, goes on alone; h2 and h3 decide all the while.
fn forced_by_a_minority(then: impl Fn(&Host, &Host, &Host) -> Result<()>) {
    forced_with_a_worker(|h1, h2, h3, _| then(h1, h2, h3));
}

/// The same; h4, a worker on h1's side, has followed it.
fn forced_with_a_worker(then: impl Fn(&Host, &Host, &Host, &Host) -> Result<()>) {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h2, h3, h4) = (w.host(1), w.host(2), w.host(3), w.host(4));
        let damage = Wire::new(w.wire.net());
        let sides = [(h1, h2), (h1, h3), (h4, h2), (h4, h3)];
        let both = |(one, other): &(&Host, &Host)| {
            [wire::one_way(&one.ip, &other.ip), wire::one_way(&other.ip, &one.ip)]
        };
        let cut = damage.damage(&sides.iter().flat_map(both).collect::<Vec<_>>())?;
        decides("the majority decides", h2, "by_the_majority")?;
        h1.ctl("init --force-new-cluster")?.ok()?;
        create(h1, "by_h1")?;
        eventually("the worker follows", || h4.run("followed", "--network by_h1").map(drop))?;
        damage.mend(cut)?;
        for host in [h2, h3] {
            within(Duration::from_secs(30), "the majority is warned", || {
                is_warned(host, &["h1 (10.88.0.1:2377) went on", "epoch 1-", "rejoin", "leave --force"])
            })?;
        }
        within(Duration::from_secs(30), "who was forced is warned", || {
            is_warned(
                h1,
                &["was forced without", "h2 (10.88.0.2:2377)", "epoch 0", "leave --force", "rejoin"],
            )
        })?;
        create(h3, "goes_on")?;
        // Nor does one of them that was away for a moment.
        h3.restart()?;
        eventually("it is back", || {
            is(h3, "manager")?;
            is_warned(h3, &["h1 (10.88.0.1:2377) went on"])?;
            create(h3, "back")
        })?;
        ensure!(
            knows(h2, "by_the_majority")? && !knows(h2, "by_h1")?,
            "the majority has lost or won something"
        );
        then(h1, h2, h3, h4)
    });
}

#[test]
fn s53_who_followed_a_minority_that_is_given_up_comes_back() {
    forced_with_a_worker(|h1, h2, _, h4| {
        h1.ctl("leave --force")?.ok()?;
        h4.ctl("rejoin 10.88.0.2:2377")?.ok()?;
        within(Duration::from_secs(20), "the worker is back", || {
            h4.run("back", "--network goes_on").map(drop)
        })?;
        // For good: also after a restart, and with a leader of another term.
        h4.restart()?;
        eventually("it stays", || {
            let rows = h2.nodes()?;
            let row = rows.iter().find(|row| row.hostname == "h4" && row.status == "Ready");
            ensure!(row.is_some(), "{rows:?}");
            Ok(())
        })?;
        h4.run("again", "--network goes_on").map(drop)
    });
}

#[test]
fn s53_a_majority_that_decides_is_not_ended_by_a_minority_that_was_forced() {
    forced_by_a_minority(|h1, h2, _| {
        let token = h2.token("manager")?;
        h1.ctl("leave --force")?.ok()?;
        h1.ctl(&format!("join --token {token} 10.88.0.2:2377"))?.ok()?;
        eventually("it is one of them again", || {
            ensure!(knows(h1, "by_the_majority")? && knows(h1, "goes_on")?);
            is(h1, "manager")
        })
    });
}

#[test]
fn s53_a_majority_follows_when_an_operator_says_so_and_keeps_what_it_knew() {
    forced_by_a_minority(|h1, h2, h3| {
        for host in [h3, h2] {
            host.ctl("rejoin 10.88.0.1:2377")?.ok()?;
            within(Duration::from_secs(30), "it follows", || is(host, "worker"))?;
            let (raft, old) = (host.state_dir().join("raft"), host.state_dir().join("raft.old"));
            eventually("what it knew is kept beside", || {
                ensure!(!raft.exists() && old.join("log").exists(), "{}", host.name);
                Ok(())
            })?;
            // A worker's start leaves it alone.
            host.restart()?;
            ensure!(old.join("log").exists(), "what {} knew is not kept", host.name);
        }
        eventually("one cluster", || {
            let rows = h1.nodes()?;
            ensure!(rows.len() == 4 && rows.iter().all(|row| row.status == "Ready"), "{rows:?}");
            Ok(())
        })?;
        ensure!(knows(h1, "by_h1")? && !knows(h1, "goes_on")?);
        // What was kept is gone with the membership.
        h3.ctl("leave")?.ok()?;
        ensure!(!h3.state_dir().join("raft.old").exists());
        Ok(())
    });
}
