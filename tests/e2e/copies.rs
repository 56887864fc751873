//! State that was copied, and state that was lost: F26.

use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::{Duration, Instant};
use swarm_tests::{Host, Setup, create, eventually, scenario, view, within};

/// As a virtual machine's disk is copied: everything the daemon knows of itself.
fn copy_state(from: &Host, to: &Host) -> Result<()> {
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(from.state_dir()).arg(to.state_dir());
    ensure!(cp.status()?.success(), "the state was not copied");
    Ok(())
}

fn raft_id(asked: &Host, name: &str) -> Result<i64> {
    let node = view::object(&asked.ctl(&format!("node inspect --format json {name}"))?.ok()?)?;
    view::number(&node, "raft_id").with_context(|| format!("{name} has no Raft id"))
}

#[test]
fn f26_a_copy_of_a_manager_does_not_start_beside_it() {
    scenario(Setup::hosts(4), |w| {
        w.form_first(3, &["manager", "manager"])?;
        let (h1, h3, h4) = (w.host(1), w.host(3), w.host(4));
        copy_state(h3, h4)?;
        let refused = format!("{:#}", h4.start().err().context("the copy started")?);
        for fact in ["identity of this node", "10.88.0.3:2377", "copy"] {
            ensure!(refused.contains(fact), "{refused}");
        }
        ensure!(h1.ctl("node inspect h3")?.ok()?.contains("10.88.0.3"), "the others were led astray");
        create(h3, "goes_on")?;
        w.settled(3)
    });
}

/// A copy that was started while the manager was dead is that manager from then on.
#[test]
fn f26_a_manager_that_comes_back_beside_its_copy_does_not_start_and_takes_over_when_that_is_dead() {
    scenario(Setup::hosts(4), |w| {
        w.form_first(3, &["manager", "manager"])?;
        let (h1, h3, h4) = (w.host(1), w.host(3), w.host(4));
        let before = raft_id(h1, "h3")?;
        h3.kill()?;
        copy_state(h3, h4)?;
        h4.start()?;
        let rows = |at: &str| {
            let row = h1.nodes()?.into_iter().find(|n| n.hostname == at).context("it is not listed")?;
            ensure!(row.status == "Ready" && row.manager == "Reachable", "{row:?}");
            Ok(())
        };
        eventually("the copy stands in for it", || rows("h4"))?;
        let refused = format!("{:#}", h3.start().err().context("the original started beside it")?);
        for fact in ["identity of this node", "10.88.0.4:2377", "copy"] {
            ensure!(refused.contains(fact), "{refused}");
        }
        create(h1, "goes_on")?;
        h4.kill()?;
        h3.start()?;
        within(Duration::from_secs(40), "it is itself again, as a new member of Raft", || {
            rows("h3")?;
            ensure!(h1.ctl("node inspect h3")?.ok()?.contains("10.88.0.3"), "it is looked for elsewhere");
            // What its copy has said in Raft it never knew.
            ensure!(raft_id(h1, "h3")? != before, "it votes as the one it was");
            Ok(())
        })?;
        eventually("it has what was decided", || h3.network("goes_on").map(drop))?;
        ensure!(view::number(&h1.info()?, "managers") == Some(3), "its copy is counted");
        Ok(())
    });
}

#[test]
fn f26_a_copy_of_a_worker_is_kept_out_while_that_is_there() {
    scenario(Setup::hosts(3), |w| {
        w.form_first(2, &["worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        create(h1, "my_net")?;
        copy_state(h2, h3)?;
        h3.start()?;
        eventually("the copy is told why", || {
            let info = h3.ctl("info")?.ok()?;
            ensure!(info.contains("is here already"), "{info}");
            Ok(())
        })?;
        // It keeps trying; the one that was there notices nothing.
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            let node = h1.ctl("node inspect h2")?.ok()?;
            ensure!(node.contains("10.88.0.2") && !node.contains("10.88.0.3"), "{node}");
            let row = h1.nodes()?.into_iter().find(|n| n.hostname == "h2").context("h2 is not listed")?;
            ensure!(row.status == "Ready", "{row:?}");
        }
        h2.run("a", "--network my_net")?;
        ensure!(!h2.log().contains("newer session"), "it was thrown out");
        h3.ctl("info")?.ok().map(drop)
    });
}

/// What swarmd itself advises.
#[test]
fn f26_a_copy_of_a_worker_that_leaves_goes_alone() {
    scenario(Setup::hosts(3), |w| {
        w.form_first(2, &["worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        create(h1, "my_net")?;
        h2.run("a", "--network my_net")?;
        copy_state(h2, h3)?;
        h3.start()?;
        eventually("the copy is told why", || {
            ensure!(h3.ctl("info")?.ok()?.contains("is here already"));
            Ok(())
        })?;
        let said = h3.ctl("leave --force")?.ok()?;
        ensure!(said.contains("Another host runs under this node's identity"), "{said}");
        let row = h1.nodes()?.into_iter().find(|n| n.hostname == "h2").context("h2 is not listed")?;
        ensure!(row.status == "Ready", "{row:?}");
        ensure!(h1.ctl("node ps h2")?.ok()?.contains('a'), "its endpoint was released");
        ensure!(h3.ctl("info")?.ok()?.contains("inactive"), "the copy has not left");
        // It joins as a node of its own.
        let token = h1.ctl("join-token -q worker")?.ok()?;
        h3.ctl(&format!("join --token {} 10.88.0.1:2377", token.trim()))?.ok()?;
        let said = h2.ctl("leave")?.ok()?;
        ensure!(said.contains("Ended 1 sandbox: a") && said.contains("Node left the swarm."), "{said}");
        Ok(())
    });
}

#[test]
fn f26_a_manager_that_lost_its_log_is_another_member_of_raft() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h3) = (w.host(1), w.host(3));
        let id = |host: &Host| view::text(&host.info()?, "node_id").context("info names no node");
        let (node, before) = (id(h3)?, raft_id(h1, "h3")?);
        h3.stop()?;
        std::fs::remove_dir_all(h3.state_dir().join("raft"))?;
        create(h1, "meanwhile")?;
        h3.start()?;
        within(Duration::from_secs(40), "it is a manager under another Raft id", || {
            ensure!(raft_id(h1, "h3")? != before);
            let row = h1.nodes()?.into_iter().find(|n| n.hostname == "h3").context("h3 is not listed")?;
            ensure!(row.manager == "Reachable" || row.manager == "Leader", "{row:?}");
            Ok(())
        })?;
        ensure!(id(h3)? == node, "it is another node");
        ensure!(view::number(&h1.info()?, "managers") == Some(3), "its earlier self still votes");
        eventually("it has what was decided", || h3.network("meanwhile").map(drop))
    });
}
