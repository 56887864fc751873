//! Roles and removal: S23 to S26, S31 to S35.

use crate::code;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use swarm_tests::{Host, Setup, World, eventually, poll::within, scenario, shim, view};

fn manager_status(asked: &Host, name: &str) -> Result<String> {
    let row = asked.nodes()?.into_iter().find(|n| n.hostname == name);
    Ok(row.ok_or_else(|| anyhow::anyhow!("{name} is not listed"))?.manager)
}

fn is_manager(asked: &Host, name: &str) -> Result<()> {
    let status = manager_status(asked, name)?;
    ensure!(status == "Reachable" || status == "Leader", "{name} is {status:?}");
    Ok(())
}

/// Not among the managers any more, nothing of Raft on its disk, and its commands say so.
fn is_worker(asked: &Host, host: &Host) -> Result<()> {
    eventually("it is a worker", || {
        ensure!(manager_status(asked, &host.name)?.is_empty());
        ensure!(!host.membership_on_disk().contains(&"raft".to_owned()), "its Raft data is still there");
        let info = host.info()?;
        ensure!(view::text(&info, "role").as_deref() == Some("worker"), "{info}");
        Ok(())
    })?;
    host.ctl("network create x")?.refused_naming(&[code::UNAVAILABLE], &["not a manager"]).map(drop)
}

fn voters(host: &Host) -> Result<i64> {
    view::number(&host.info()?, "managers").ok_or_else(|| anyhow::anyhow!("info does not count managers"))
}

fn writes(host: &Host, name: &str) -> Result<()> {
    host.ctl(&format!("network create --attachable {name}"))?.ok().map(drop)
}

/// Found by a breaker: for some seconds one that was just demoted said that the quorum was lost, and how to force it.
#[test]
fn s24_a_manager_that_is_let_go_says_nothing_of_a_lost_quorum() {
    scenario(Setup::hosts(5), |w| {
        w.form(&["manager", "manager", "manager", "manager"])?;
        let h1 = w.host(1);
        h1.ctl("node demote h5 h4")?.ok()?;
        std::thread::scope(|scope| {
            let asking: Vec<_> =
                [4, 5].map(|number| scope.spawn(move || asked_while_let_go(w.host(number)))).into();
            asking
                .into_iter()
                .try_for_each(|asked| asked.join().map_err(|_| anyhow::anyhow!("asking panicked"))?)
        })?;
        is_worker(h1, w.host(4))?;
        is_worker(h1, w.host(5))
    });
}

/// Until it is a worker, and knows it.
fn asked_while_let_go(host: &Host) -> Result<()> {
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while std::time::Instant::now() < until {
        for command in ["network create x_of_the_demoted", "node ls", "info"] {
            let said = host.ctl(command)?;
            let all = format!("{}{}", said.stdout, said.stderr);
            for wrong in ["force-new-cluster", "do not answer", "does not answer", "quorum"] {
                ensure!(!all.contains(wrong), "{}: {command}: {all}", host.name);
            }
            if all.contains("not a manager") {
                return Ok(());
            }
        }
    }
    anyhow::bail!("{} is not a worker yet", host.name)
}

/// The reason that tells most stands, whoever else is silent.
#[test]
fn s33_a_removed_node_says_that_it_is_removed() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h3, h4) = (w.host(1), w.host(3), w.host(4));
        h3.kill()?;
        h1.ctl("node rm --force h4")?.ok()?;
        let says = || {
            let info = h4.ctl("info")?.ok()?;
            let line = info.lines().find(|line| line.starts_with("Session:")).map(str::to_owned);
            ensure!(line.as_ref().is_some_and(|line| line.contains("left or was removed")), "{info}");
            ensure!(!info.contains("Reconcile error"), "{info}");
            Ok(())
        };
        eventually("it says so", says)?;
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            says()?;
        }
        ensure!(h4.ctl("ps")?.stderr.contains("no manager takes this node"));
        let said = h4.ctl("leave")?.ok()?;
        ensure!(said.contains("which had removed it before"), "{said}");
        Ok(())
    });
}

#[test]
fn s23_promote_worker() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["worker", "worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        writes(h1, "my_net")?;
        let (a, b) = (h2.run("a", "--network my_net")?, w.host(3).run("b", "--network my_net")?);
        let said = h1.ctl("node promote h2")?.ok()?;
        ensure!(said == "Node h2 promoted to a manager in the swarm.", "{said}");
        let (_, took) = within(Duration::from_secs(10), "h2 is reachable", || is_manager(h1, "h2"))?;
        println!("promoted until reachable: {took:?}");
        writes(h2, "by_h2")?;
        ensure!(h2.token("worker")? == h1.token("worker")?, "it serves the whole API");
        ensure!(h1.ctl("node promote h2")?.ok()? == "Node h2 is already a manager.");
        // A restart begins as a manager.
        h2.restart()?;
        eventually("h2 serves again", || writes(h2, "after_restart"))?;
        swarm_tests::sandbox::all_ping(&[&a, &b])
    });
}

#[test]
fn s24_demote_the_follower_of_two() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["manager"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        let said = h1.ctl("node demote h2")?.ok()?;
        ensure!(said == "Manager h2 demoted in the swarm.", "{said}");
        is_worker(h1, h2)?;
        writes(h1, "alone")?;
        w.settled(2)?;
        // It may come back as what it was, under the same identity.
        let id = h1.nodes()?.into_iter().find(|n| n.hostname == "h2").map(|n| n.id);
        h1.ctl("node promote h2")?.ok()?;
        eventually("h2 is a manager again", || is_manager(h1, "h2"))?;
        ensure!(h1.nodes()?.into_iter().find(|n| n.hostname == "h2").map(|n| n.id) == id);
        writes(h2, "together")
    });
}

#[test]
fn a_manager_whose_leave_was_refused_still_follows_its_role() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["manager"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h2.ctl("leave")?.refused_naming(&[code::FAILED], &["--force"])?;
        h1.ctl("node demote h2")?.ok()?;
        is_worker(h1, h2)
    });
}

#[test]
fn s25_demote_the_leader_of_three() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        ensure!(manager_status(h2, "h1")? == "Leader");
        h1.ctl("node demote self")?.ok()?;
        // The API stays up on the others: not one command in between fails.
        for round in 0..5 {
            writes(h2, &format!("during{round}"))?;
        }
        is_worker(h3, h1)?;
        let leaders = h2.nodes()?.into_iter().filter(|n| n.manager == "Leader").count();
        ensure!(leaders == 1, "{leaders} leaders");
        writes(h3, "after")
    });
}

#[test]
fn s26_the_last_manager_is_not_demoted() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let h1 = w.host(1);
        h1.ctl("node demote h1")?.refused_naming(&[code::FAILED], &["last manager", "promote"])?;
        writes(h1, "still")?;
        ensure!(manager_status(h1, "h1")? == "Leader");
        // Of two demotions at once one at most passes.
        h1.ctl("node promote h2")?.ok()?;
        eventually("h2 is a manager", || is_manager(h1, "h2"))?;
        let mut both = Vec::new();
        for (asked, name) in [(1, "h2"), (2, "h1")] {
            both.push(w.host(asked).ctl_command(&["node", "demote", name])?.spawn()?);
        }
        let mut passed = 0;
        for child in &mut both {
            passed += usize::from(swarm_tests::run::wait(child, Duration::from_secs(40))? == 0);
        }
        ensure!(passed <= 1, "both passed");
        eventually("somebody still writes", || writes(h1, "left").or_else(|_| writes(w.host(2), "left")))
    });
}

#[test]
fn s31_s33_a_node_is_removed_when_it_is_down_or_by_force_and_stays_out() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["worker", "worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        writes(h1, "my_net")?;
        h2.run("a", "--network my_net")?;
        h1.ctl("node rm h2")?
            .refused_naming(&[code::FAILED], &["not down", "can't be removed", "--force"])?;
        h1.ctl("node rm --force h2")?.ok()?;
        let (_, took) = within(Duration::from_secs(10), "h2 is cut off", || {
            let info = h2.ctl("info")?.ok()?.to_lowercase();
            ensure!(info.contains("removed"), "{info}");
            Ok(())
        })?;
        ensure!(took < Duration::from_secs(4), "cut off after {took:?}");
        // What it held is free again, and its certificate opens nothing.
        eventually("its endpoint is gone", || h1.ctl("network rm my_net")?.ok())?;
        h2.restart()?;
        eventually("it is told why", || {
            ensure!(h2.ctl("info")?.ok()?.to_lowercase().contains("removed"));
            Ok(())
        })?;
        ensure!(h1.nodes()?.len() == 2, "it came back");
        h2.ctl("leave --force")?.ok()?;
        h2.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("worker")?))?.ok()?;
        w.settled(3)?;
        // A node that is down goes without force.
        h3.kill()?;
        let (_, took) = within(Duration::from_secs(15), "h3 is down", || {
            let row = h1.nodes()?.into_iter().find(|n| n.hostname == "h3");
            ensure!(row.as_ref().is_some_and(|n| n.status == "Down"), "{row:?}");
            Ok(())
        })?;
        println!("killed worker until Down: {took:?}");
        h1.ctl("node rm h3")?.ok()?;
        ensure!(h1.nodes()?.len() == 2);
        h1.ctl("node rm nobody")?.refused(&[code::NOT_FOUND]).map(drop)
    });
}

#[test]
fn s32_a_manager_must_be_demoted_before_it_is_removed() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let h1 = w.host(1);
        h1.ctl("node rm --force h2")?.refused_naming(&[code::FAILED], &["must be demoted", "node demote"])?;
        ensure!(voters(h1)? == 3);
        // Also one that is away: the others take it out of Raft without it.
        w.host(2).kill()?;
        eventually("h2 may be demoted", || h1.ctl("node demote h2")?.ok())?;
        eventually("Raft has let go of it", || {
            ensure!(voters(h1)? == 2);
            Ok(())
        })?;
        eventually("it may be removed", || h1.ctl("node rm --force h2")?.ok())?;
        ensure!(h1.nodes()?.len() == 2);
        // Its certificate and its log are worth nothing now.
        w.host(2).start()?;
        eventually("it is told", || {
            ensure!(w.host(2).ctl("info")?.ok()?.to_lowercase().contains("removed"));
            Ok(())
        })?;
        ensure!(voters(h1)? == 2 && h1.nodes()?.len() == 2);
        writes(w.host(3), "after")
    });
}

#[test]
fn a_manager_demoted_while_it_was_away_comes_back_as_a_worker() {
    scenario(Setup::hosts(3), |w: &World| {
        w.form(&["manager", "manager"])?;
        let (h1, h3) = (w.host(1), w.host(3));
        h3.kill()?;
        eventually("h3 is demoted", || h1.ctl("node demote h3")?.ok())?;
        h3.start()?;
        is_worker(h1, h3)?;
        w.settled(3)
    });
}

#[test]
fn s35_availability_decides_who_takes_new_endpoints() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        writes(h1, "my_net")?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        for availability in ["pause", "drain"] {
            let out = h1.ctl(&format!("node update --availability {availability} h2"))?;
            ensure!(out.code == 0 && out.stderr.contains('b'), "it should name what is still there: {out}");
            let refused = h2.ctl("run -d --name c --network my_net -- sleep 60")?;
            ensure!(refused.code == 125 && refused.stderr.contains(availability), "{refused}");
            swarm_tests::sandbox::all_ping(&[&a, &b])?;
        }
        let row = h1.nodes()?.into_iter().find(|n| n.hostname == "h2");
        ensure!(row.is_some_and(|n| n.availability == "Drain"));
        h1.ctl("node update --availability active h2")?.ok()?;
        let c = h2.run("c", "--network my_net")?;
        swarm_tests::sandbox::all_ping(&[&a, &b, &c])?;
        let listed = h1.ctl("node ps --format json h2")?.ok()?;
        ensure!(view::lines(&listed)?.len() == 2, "{listed}");
        h1.ctl("node update --label-add zone=a --label-add disk=ssd h2")?.ok()?;
        let shown = view::object(&h1.ctl("node inspect h2")?.ok()?)?;
        ensure!(view::text(&shown, "zone").as_deref() == Some("a"), "{shown}");
        let stale = view::number(&shown, "revision").unwrap_or_default();
        h1.ctl("node update --label-rm disk h2")?.ok()?;
        h1.ctl(&format!("node update --if-revision {stale} --label-add zone=b h2"))?
            .refused_naming(&[code::FAILED], &["changed meanwhile"])?;
        h1.ctl("node update --label-rm disk h2")?.refused(&[code::NOT_FOUND])?;
        h1.ctl("node update h2")?.refused(&[code::USAGE])?;
        ensure!(h1.ctl("node ls -q -f label=zone=a")?.ok()?.lines().count() == 1);
        Ok(())
    });
}

/// Whoever leads today may have been a worker in the log that a new member receives.
#[test]
fn managers_come_and_go_again_and_again() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        for round in 0..2 {
            for name in ["h1", "h2", "h3"] {
                let asked = w.hosts().iter().find(|host| host.name != name).unwrap_or(w.host(1));
                eventually("it is demoted", || asked.ctl(&format!("node demote {name}"))?.ok())?;
                eventually("it is out", || {
                    ensure!(manager_status(asked, name)?.is_empty());
                    Ok(())
                })?;
                eventually("it is promoted", || asked.ctl(&format!("node promote {name}"))?.ok())?;
                within(Duration::from_secs(20), "it is a manager again", || is_manager(asked, name))?;
            }
            writes(w.host(round + 1), &format!("round{round}"))?;
        }
        w.settled(3)
    });
}

#[test]
fn a_manager_demoted_and_promoted_while_it_was_away_comes_back_as_a_new_member() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h3) = (w.host(1), w.host(3));
        h3.kill()?;
        eventually("h3 is demoted", || h1.ctl("node demote h3")?.ok())?;
        eventually("Raft has let go of it", || {
            ensure!(voters(h1)? == 2);
            Ok(())
        })?;
        h1.ctl("node promote h3")?.ok()?;
        h3.start()?;
        within(Duration::from_secs(30), "h3 is a manager again", || is_manager(h1, "h3"))?;
        eventually("it serves", || writes(h3, "by_h3"))?;
        w.settled(3)
    });
}

/// As a learner it had the cluster's state, and took that for the end of its way. Both it and the leader, which was about to
/// give it a vote, are killed there; flushes that take long make the moment long.
#[test]
fn a_promotion_that_was_cut_off_half_way_is_finished() {
    scenario(Setup::hosts(3), |w| {
        let shims = shim::everywhere(w)?;
        w.form(&["manager", "worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        ensure!(manager_status(h2, "h1")? == "Leader");
        shims[0].slow_disk(Duration::from_millis(700))?;
        let mut asked = h1.ctl_command(&["node", "promote", "h3"])?.spawn()?;
        eventually("h3 has the cluster's state, and no vote yet", || {
            ensure!(h3.log().contains("listening for nodes"), "it does not serve yet");
            ensure!(h3.ctl("network ls")?.code == 0, "it has no state yet");
            Ok(())
        })?;
        h1.kill()?;
        h3.kill()?;
        shims[0].slow_disk(Duration::ZERO)?;
        swarm_tests::run::wait(&mut asked, Duration::from_secs(40))?;
        h1.start()?;
        h3.start()?;
        within(Duration::from_secs(30), "h3 is a manager", || is_manager(h2, "h3"))?;
        eventually("it serves", || writes(h3, "by_h3"))?;
        w.settled(3)
    });
}

#[test]
fn a_manager_removed_right_after_its_demotion_serves_no_longer() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h3) = (w.host(1), w.host(3));
        h1.ctl("node demote h3")?.ok()?;
        eventually("it is removed", || h1.ctl("node rm --force h3")?.ok())?;
        within(Duration::from_secs(30), "it is no manager, and is told why", || {
            ensure!(!h3.membership_on_disk().contains(&"raft".to_owned()), "its Raft data is still there");
            let info = h3.ctl("info")?.ok()?.to_lowercase();
            ensure!(info.contains("removed"), "{info}");
            Ok(())
        })?;
        writes(w.host(2), "after")
    });
}

#[test]
fn a_demotion_right_after_a_loss_is_refused() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        w.host(2).kill()?;
        let refused = w.host(1).ctl("node demote h3")?;
        refused.refused_naming(&[code::FAILED, code::UNAVAILABLE], &["h2"])?;
        eventually("two of three write", || writes(w.host(1), "still"))
    });
}

/// Raft does not tell who was taken out of it, and a session with oneself goes on without a leader.
#[test]
fn a_manager_demoted_while_it_was_cut_off_steps_down_when_it_is_back() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h3) = (w.host(1), w.host(3));
        w.wire.sh("ip link set p3 down")?.ok()?;
        eventually("h3 is demoted", || h1.ctl("node demote h3")?.ok())?;
        eventually("Raft has let go of it", || {
            ensure!(voters(h1)? == 2);
            Ok(())
        })?;
        w.wire.sh("ip link set p3 up")?.ok()?;
        is_worker(h1, h3)?;
        w.settled(3)?;
        writes(h1, "after")
    });
}
