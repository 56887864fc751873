//! A quorum that is lost, and one manager that goes on: S41, S53, S55.

use crate::code;
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::time::Duration;
use swarm_tests::poll::pause;
use swarm_tests::{Host, Setup, create, decides, eventually, scenario, view, within};

fn ids(host: &Host) -> Result<BTreeSet<String>> {
    Ok(host.nodes()?.into_iter().map(|n| n.id).collect())
}

fn networks(host: &Host) -> Result<BTreeSet<String>> {
    Ok(host.ctl("network ls -q -f scope=swarm")?.ok()?.lines().map(str::to_owned).collect())
}

fn role(host: &Host) -> Result<String> {
    view::text(&host.info()?, "role").ok_or_else(|| anyhow::anyhow!("info names no role"))
}

#[test]
fn s41_without_a_quorum_writes_end_and_come_back_with_it() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let h1 = w.host(1);
        w.host(2).kill()?;
        w.host(3).kill()?;
        let refused = h1.ctl("network create lost")?;
        ensure!(refused.took < Duration::from_secs(20), "it hung for {:?}", refused.took);
        refused.refused_naming(&[code::UNAVAILABLE], &["2 of 3 managers", "h2", "h3"])?;
        // Once the loss is known, the way out is named too.
        let way_out = h1.ctl("network create lost_too")?;
        ensure!(way_out.took < Duration::from_secs(6), "after {:?}", way_out.took);
        way_out.refused_naming(&[code::UNAVAILABLE], &["2 of 3 managers", "--force-new-cluster"])?;
        let listed = h1.ctl("node ls")?;
        ensure!(listed.code == 0 && listed.stderr.contains("out of date"), "{listed}");
        h1.ctl("info")?.ok()?;
        w.host(2).start()?;
        decides("two of three write", h1, "back")?;
        w.host(3).start()?;
        w.settled(3)
    });
}

#[test]
fn s41_without_a_quorum_whoever_answers_is_counted() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "manager"])?;
        let h1 = w.host(1);
        w.host(3).kill()?;
        w.host(4).kill()?;
        eventually("the loss is known", || h1.ctl("network create lost")?.refused(&[code::UNAVAILABLE]))?;
        eventually("info and node ls count two", || {
            let info = h1.info()?;
            let reachable = view::number(&info, "reachable_managers");
            ensure!(reachable == Some(2), "{info}");
            let listed = h1.ctl("node ls")?;
            ensure!(listed.stderr.contains("2 of 4 managers do not answer (h3, h4)"), "{listed}");
            let shown = view::nodes(&listed.ok()?)?;
            let away: Vec<_> =
                shown.iter().filter(|n| n.manager == "Unreachable").map(|n| &*n.hostname).collect();
            ensure!(away == ["h3", "h4"], "{away:?}");
            Ok(())
        })
        .map(drop)
    });
}

#[test]
fn s53_f27_one_manager_goes_on_alone_with_everything_it_knew() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h2, h3, h4) = (w.host(1), w.host(2), w.host(3), w.host(4));
        create(h1, "my_net")?;
        let (a, b) = (h1.run("a", "--network my_net")?, h4.run("b", "--network my_net")?);
        h4.ctl("init --force-new-cluster")?.refused_naming(&[code::FAILED], &["not a manager"])?;
        h1.ctl("init --force-new-cluster")?.refused_naming(&[code::FAILED], &["quorum"])?;
        let (nodes, nets, token) = (ids(h1)?, networks(h1)?, h1.token("worker")?);
        h2.kill()?;
        h3.kill()?;
        let said = h1.ctl("init --force-new-cluster")?.ok()?;
        ensure!(said.contains("recovered") && said.contains(&token), "{said}");
        ensure!(ids(h1)? == nodes && networks(h1)? == nets && h1.token("worker")? == token);
        let managers: Vec<_> = h1.nodes()?.into_iter().filter(|n| !n.manager.is_empty()).collect();
        ensure!(managers.len() == 1 && managers[0].manager == "Leader" && managers[0].own, "{managers:?}");
        create(h1, "alone")?;
        eventually("the worker has found it", || {
            h4.run("c", "--network alone")?;
            Ok(())
        })?;
        swarm_tests::sandbox::all_ping(&[&a, &b])?;
        // It survives its own restart.
        h1.restart()?;
        decides("it leads again", h1, "later")?;
        // The others are a majority of what was, and may not go on as that.
        h2.start()?;
        h3.start()?;
        within(Duration::from_secs(30), "they are workers of the cluster that went on", || {
            for host in [h2, h3] {
                ensure!(role(host)? == "worker", "{} is still {}", host.name, role(host)?);
                ensure!(!host.membership_on_disk().contains(&"raft".to_owned()));
            }
            w.settled(4)
        })?;
        ensure!(ids(h1)? == nodes, "everybody is who he was");
        // And they may be managers again.
        h1.ctl("node promote h2 h3")?.ok()?;
        eventually("three managers", || {
            let managers = h1.nodes()?.into_iter().filter(|n| !n.manager.is_empty()).count();
            ensure!(managers == 3);
            Ok(())
        })?;
        h1.stop()?;
        decides("they decide without it", h2, "without_h1")
    });
}

/// Found by a breaker: the leader had just handed over to one that had heard nobody yet, was not taken out of Raft, and
/// the next one to leave took the quorum along.
#[test]
fn s55_two_managers_that_leave_together_leave_the_third_with_its_quorum() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        for (round, later_ms) in [(0, 0), (1, 150), (2, 400)] {
            let leader = w.leader()?;
            let others: Vec<&Host> = w.hosts().iter().filter(|host| host.name != leader.name).collect();
            let (second, third) = (others[round % 2], others[(round + 1) % 2]);
            std::thread::scope(|scope| {
                let first = scope.spawn(|| leader.ctl("leave --force")?.ok());
                pause(Duration::from_millis(later_ms));
                second.ctl("leave --force")?.ok()?;
                first.join().map_err(|_| anyhow::anyhow!("leaving panicked"))?.map(drop)
            })?;
            create(third, &format!("alone{round}"))?;
            let left = third.nodes()?.into_iter().filter(|n| !n.manager.is_empty()).count();
            ensure!(left == 1, "{left} managers are listed");
            for host in [leader, second] {
                host.ctl(&format!("join --token {} {}:2377", third.token("manager")?, third.ip))?.ok()?;
            }
            eventually("three managers", || {
                let heard =
                    third.nodes()?.into_iter().filter(|n| ["Leader", "Reachable"].contains(&&*n.manager));
                ensure!(heard.count() == 3);
                Ok(())
            })?;
        }
        Ok(())
    });
}

#[test]
fn s55_managers_leave_one_after_the_other() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        h3.ctl("leave --force")?.ok()?;
        create(h2, "two")?;
        h1.ctl("leave --force")?.ok()?;
        decides("the last one goes on", h2, "one")?;
        let left: Vec<_> = h2.nodes()?.into_iter().filter(|n| n.manager == "Leader").collect();
        ensure!(left.len() == 1 && left[0].hostname == "h2", "{left:?}");
        Ok(())
    });
}
