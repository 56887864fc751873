//! Several managers: S37, S40, S44, S92.

use crate::code;
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use swarm_tests::{Host, Setup, World, decides, eventually, scenario, view};

fn names(host: &Host, flags: &str) -> Result<Vec<String>> {
    Ok(view::nodes(&host.ctl(&format!("node ls {flags}"))?.ok()?)?.into_iter().map(|n| n.hostname).collect())
}

#[test]
fn s37_nodes_are_listed_in_natural_order_and_filtered() {
    scenario(Setup::named(&["n1", "n10", "n2"]), |w| {
        w.hosts().iter().try_for_each(Host::start)?;
        let (n1, n10, n2) = (w.host(1), w.host(2), w.host(3));
        n1.ctl("init")?.ok()?;
        n10.ctl(&format!("join --label zone=a --token {} 10.88.0.1:2377", n1.token("worker")?))?.ok()?;
        n2.ctl(&format!("join --token {} 10.88.0.1:2377", n1.token("manager")?))?.ok()?;
        w.settled(3)?;
        ensure!(names(n1, "")? == ["n1", "n2", "n10"], "{:?}", names(n1, "")?);
        let own = |host: &Host| {
            Ok::<_, anyhow::Error>(host.nodes()?.into_iter().filter(|n| n.own).collect::<Vec<_>>())
        };
        for host in [n1, n2] {
            let own = own(host)?;
            ensure!(own.len() == 1 && own[0].hostname == host.name, "{own:?}");
        }
        let id = n1.nodes()?.remove(2).id;
        for (filter, expected) in [
            ("name=n2".to_owned(), vec!["n2"]),
            (format!("id={id}"), vec!["n10"]),
            ("role=worker".to_owned(), vec!["n10"]),
            ("role=manager".to_owned(), vec!["n1", "n2"]),
            ("label=zone=a".to_owned(), vec!["n10"]),
            ("membership=accepted".to_owned(), vec!["n1", "n2", "n10"]),
        ] {
            let found = names(n1, &format!("-f {filter}"))?;
            ensure!(found == expected, "-f {filter}: {found:?}, expected {expected:?}");
        }
        let ids = n1.ctl("node ls -q")?.ok()?;
        ensure!(ids.lines().count() == 3 && ids.lines().all(view::is_id), "{ids}");
        let shown = view::text(&view::object(&n1.ctl("node inspect --format json n10")?.ok()?)?, "hostname");
        ensure!(shown.as_deref() == Some("n10"), "{shown:?}");
        Ok(())
    });
}

/// Ids of the cluster's networks as this host lists them.
fn networks(host: &Host) -> Result<BTreeSet<String>> {
    Ok(host.ctl("network ls -q -f scope=swarm")?.ok()?.lines().map(str::to_owned).collect())
}

fn leaders(world: &World, asked: usize) -> Result<Vec<String>> {
    Ok(world.host(asked).nodes()?.into_iter().filter(|n| n.manager == "Leader").map(|n| n.hostname).collect())
}

#[test]
fn s40_a_follower_takes_writes() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        for asked in 1..=3 {
            let name = format!("net{asked}");
            let id = w.host(asked).ctl(&format!("network create --attachable {name}"))?.ok()?;
            ensure!(view::is_id(&id), "network create should print the id, said {id:?}");
            let own = view::text(&w.host(asked).network(&name)?, "id");
            ensure!(own.as_deref() == Some(&*id), "not seen at once where it was made: {own:?}");
            for host in w.hosts() {
                eventually("the network is seen everywhere", || host.network(&name).map(drop))?;
            }
        }
        ensure!(w.host(2).token("worker")? == w.host(3).token("worker")?, "managers disagree on the token");
        ensure!(leaders(w, 1)? == leaders(w, 2)? && leaders(w, 1)?.len() == 1, "one leader, seen by all");
        let (a, b) = (w.host(2).run("a", "--network net1")?, w.host(3).run("b", "--network net1")?);
        swarm_tests::sandbox::all_ping(&[&a, &b])
    });
}

#[test]
fn s44_a_staggered_restart_loses_nothing() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        for i in 0..5 {
            w.host(1).ctl(&format!("network create --attachable before{i}"))?.ok()?;
        }
        let (a, b) = (w.host(1).run("a", "--network before0")?, w.host(2).run("b", "--network before0")?);
        let nodes: BTreeSet<String> = w.host(1).nodes()?.into_iter().map(|n| n.id).collect();
        let before = networks(w.host(1))?;
        for down in 1..=3 {
            let asked = down % 3 + 1;
            w.host(down).stop()?;
            decides("two of three still write", w.host(asked), &format!("during{down}"))?;
            w.host(down).start()?;
            w.settled(3)?;
        }
        for host in w.hosts() {
            eventually("every manager has it all", || {
                let now = networks(host)?;
                ensure!(before.is_subset(&now) && now.len() == before.len() + 3, "{now:?}");
                ensure!(host.nodes()?.into_iter().map(|n| n.id).collect::<BTreeSet<_>>() == nodes);
                ensure!(leaders(w, host.number)?.len() == 1);
                Ok(())
            })?;
        }
        swarm_tests::sandbox::all_ping(&[&a, &b])
    });
}

#[test]
fn s92_a_worker_names_the_managers_it_knows() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let worker = w.host(2);
        for words in
            ["network create -d overlay my_net", "node ls", "join-token worker", "network rm ingress"]
        {
            worker.ctl(words)?.refused_naming(&[code::UNAVAILABLE], &["not a manager", "10.88.0.1"])?;
        }
        ensure!(worker.ctl("network ls")?.ok()?.contains("NETWORK ID"), "network ls works on workers");
        worker.ctl("info")?.ok().map(drop)
    });
}
