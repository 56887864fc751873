//! Addresses that change, of one, of several, of all: S48, B4, F25.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use swarm_tests::sandbox::all_ping;
use swarm_tests::world::OUTSIDE;
use swarm_tests::{Host, Setup, World, create, decides, eventually, scenario, view, within};

/// What a node is and where it is found, as one of the managers tells it.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    id: String,
    raft_id: Option<i64>,
    /// Its own, its data path's, its manager's.
    addresses: Vec<String>,
}

fn shown(asked: &Host, name: &str) -> Result<Shown> {
    let node = view::object(&asked.ctl(&format!("node inspect --format json {name}"))?.ok()?)?;
    let (status, manager) = (view::find(&node, "status"), view::find(&node, "manager_status"));
    let of = |part: Option<&serde_json::Value>, key: &str| part.and_then(|value| view::text(value, key));
    let addresses = [of(status, "addr"), of(status, "data_path_addr"), of(manager, "addr")];
    Ok(Shown {
        id: view::text(&node, "id").context("no id")?,
        raft_id: manager.and_then(|value| view::number(value, "raft_id")),
        addresses: addresses.into_iter().flatten().collect(),
    })
}

/// Another address on the same interface, as a lease would bring it.
fn readdress(host: &Host, last: u8) -> Result<String> {
    let ip = format!("10.88.0.{last}");
    host.sh(&format!(
        "ip addr flush dev eth0 && ip addr add {ip}/24 dev eth0 && ip route replace default via {OUTSIDE}"
    ))?
    .ok()?;
    Ok(ip)
}

/// `asked` shows the node under its old identity at its new address, and reaches it.
fn is_found_at(asked: &Host, name: &str, ip: &str, before: &Shown) -> Result<()> {
    within(Duration::from_secs(40), &format!("{name} is found at {ip}"), || {
        let now = shown(asked, name)?;
        ensure!(
            (&now.id, now.raft_id) == (&before.id, before.raft_id),
            "it is another: {now:?}, was {before:?}"
        );
        let wanted = before.addresses.len();
        let there = now.addresses.iter().filter(|addr| addr.split(':').next() == Some(ip)).count();
        ensure!(there == wanted, "{now:?}");
        let row = asked.nodes()?.into_iter().find(|n| n.hostname == name).context("not listed")?;
        ensure!(row.status == "Ready" && row.manager != "Unreachable", "{row:?}");
        let addresses = asked.ctl_args(&["node", "ls", "--format", "{{.Hostname}} {{.Addr}}"])?.ok()?;
        ensure!(addresses.contains(&format!("{name} {ip}")), "{addresses}");
        Ok(())
    })
    .map(drop)
}

#[test]
fn s48_a_manager_that_cannot_be_reached_is_not_let_in() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h2.start()?;
        let token = h1.token("manager")?;
        h2.ctl(&format!("join --token {token} --advertise-addr 10.88.0.99 10.88.0.1:2377"))?
            .refused_naming(&[code::FAILED], &["10.88.0.99", "--advertise-addr"])?;
        h2.is_outside()?;
        ensure!(h1.nodes()?.len() == 1, "it is listed");
        ensure!(view::number(&h1.info()?, "managers") == Some(1), "it is a member of Raft");
        create(h1, "still_decides")?;
        h2.ctl(&format!("join --token {token} 10.88.0.1:2377"))?.ok()?;
        w.settled(2)
    });
}

#[test]
fn b4_a_managers_address_changes() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        create(h1, "my_net")?;
        let (a, b, c) = (
            h1.run("a", "--network my_net")?,
            h2.run("b", "--network my_net")?,
            h3.run("c", "--network my_net")?,
        );
        all_ping(&[&a, &b, &c])?;
        let (leader, follower) = (shown(h2, "h1")?, shown(h1, "h3")?);
        // While it runs.
        let ip = readdress(h3, 103)?;
        is_found_at(h1, "h3", &ip, &follower)?;
        decides("it serves", h3, "by_h3")?;
        ensure!(
            h3.ctl("join-token worker")?.ok()?.contains(&format!("{ip}:2377")),
            "the line to paste is old"
        );
        all_ping(&[&a, &b, &c])?;
        // While it does not.
        h3.stop()?;
        let ip = readdress(h3, 113)?;
        h3.start()?;
        is_found_at(h1, "h3", &ip, &follower)?;
        all_ping(&[&a, &b, &c])?;
        // And the one that leads.
        let ip = readdress(h1, 101)?;
        is_found_at(h2, "h1", &ip, &leader)?;
        decides("it serves", h1, "by_h1")?;
        all_ping(&[&a, &b, &c])?;
        // The record alone is enough by now.
        for host in [h2, h3, h1] {
            host.restart()?;
        }
        decides("they decide", h2, "after")?;
        w.settled(3)
    });
}

#[test]
fn f25_a_workers_address_changes() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        create(h1, "my_net")?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        let before = shown(h1, "h2")?;
        let ip = readdress(h2, 102)?;
        is_found_at(h1, "h2", &ip, &before)?;
        all_ping(&[&a, &b])?;
        h2.kill()?;
        let ip = readdress(h2, 112)?;
        h2.start()?;
        is_found_at(h1, "h2", &ip, &before)?;
        all_ping(&[&a, &b])
    });
}

fn all_are_readdressed(w: &World) -> Result<Vec<String>> {
    w.hosts().iter().try_for_each(Host::kill)?;
    let number = |host: &Host| u8::try_from(host.number).unwrap_or_default() + 100;
    let addresses = w.hosts().iter().map(|host| readdress(host, number(host))).collect();
    w.hosts().iter().try_for_each(Host::start)?;
    addresses
}

/// The majority is gone for a moment, and nobody has to do anything.
#[test]
fn f25_two_of_three_change_at_once() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        let (one, two) = (shown(h1, "h2")?, shown(h1, "h3")?);
        let addresses = (readdress(h2, 102)?, readdress(h3, 103)?);
        is_found_at(h1, "h2", &addresses.0, &one)?;
        is_found_at(h1, "h3", &addresses.1, &two)?;
        h1.stop()?;
        decides("the two have found each other", h2, "by_two")
    });
}

#[test]
fn f25_all_addresses_change_at_once() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h2, h3, h4) = (w.host(1), w.host(2), w.host(3), w.host(4));
        create(h1, "my_net")?;
        let (a, b) = (h1.run("a", "--network my_net")?, h4.run("b", "--network my_net")?);
        let before: Vec<Shown> =
            ["h1", "h2", "h3", "h4"].iter().map(|n| shown(h1, n)).collect::<Result<_>>()?;
        let addresses = all_are_readdressed(w)?;
        h1.ctl("network create lost")?.refused(&[code::UNAVAILABLE])?;
        h2.ctl("rejoin 10.88.0.77:2377")?
            .refused_naming(&[code::UNAVAILABLE], &["10.88.0.77", "nothing was changed"])?;
        // One command a member, and none on the one the others are sent to.
        let said = h2.ctl("rejoin 10.88.0.77:2377 10.88.0.101")?.ok()?;
        ensure!(said.contains("Manager h1") && said.contains("10.88.0.102:2377"), "{said}");
        decides("two of three decide", h1, "two_of_three")?;
        h3.ctl("rejoin 10.88.0.102")?.ok()?;
        h4.ctl("rejoin 10.88.0.103")?.ok()?;
        for ((host, ip), before) in w.hosts().iter().zip(&addresses).zip(&before) {
            is_found_at(h1, &host.name, ip, before)?;
        }
        all_ping(&[&a, &b])?;
        // What was said is remembered: nobody has to be told twice.
        w.hosts().iter().try_for_each(Host::kill)?;
        w.hosts().iter().try_for_each(Host::start)?;
        w.settled(4)?;
        decides("they decide", h3, "after")
    });
}

#[test]
fn f25_rejoin_believes_members_of_its_own_cluster_alone() {
    scenario(Setup::hosts(3), |w| {
        w.hosts().iter().try_for_each(Host::start)?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        h1.ctl("init")?.ok()?;
        h2.ctl("init")?.ok()?;
        h1.ctl("rejoin 10.88.0.2")?
            .refused_naming(&[code::REFUSED], &["another cluster", "nothing was changed"])?;
        h1.ctl("rejoin 10.88.0.1")?.refused_naming(&code::BAD_INPUT, &["this node itself"])?;
        h1.ctl("rejoin 10.88.0.1:x")?.refused(&code::BAD_INPUT)?;
        h3.ctl("rejoin 10.88.0.1")?.refused_naming(&[code::FAILED], &["not part of a swarm", "join"])?;
        create(h1, "still")?;
        ensure!(h1.nodes()?.len() == 1 && h2.nodes()?.len() == 1);
        Ok(())
    });
}

/// Two of three former managers decide among themselves, for nobody of the cluster that went on is where they look.
#[test]
fn f25_rejoin_leads_those_left_behind_to_the_cluster_that_went_on() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h2, h3, h4) = (w.host(1), w.host(2), w.host(3), w.host(4));
        w.hosts().iter().try_for_each(Host::kill)?;
        readdress(h1, 101)?;
        h1.start()?;
        h1.ctl("init --force-new-cluster")?.ok()?;
        create(h1, "my_net")?;
        [h2, h3, h4].into_iter().try_for_each(Host::start)?;
        decides("they decide as what they were", h2, "of_the_past")?;
        // The present is not led into the past.
        h1.ctl("rejoin 10.88.0.2")?.refused_naming(&[code::REFUSED], &["past", "nothing was changed"])?;
        for host in [h4, h2, h3] {
            host.ctl("rejoin 10.88.0.101")?.ok()?;
        }
        within(Duration::from_secs(40), "all are workers of the cluster that went on", || {
            for host in [h2, h3, h4] {
                ensure!(view::text(&host.info()?, "role").as_deref() == Some("worker"), "{}", host.name);
            }
            w.settled(4)
        })?;
        h2.run("a", "--network my_net").map(drop)
    });
}

/// The managers are lost for good, and their cluster lives again on a host that was none of them.
#[test]
fn f25_rejoin_leads_to_a_cluster_restored_elsewhere() {
    scenario(Setup::hosts(5), |w| {
        w.form_first(4, &["manager", "manager", "worker"])?;
        let (h1, h2, h3, h4, h5) = (w.host(1), w.host(2), w.host(3), w.host(4), w.host(5));
        create(h1, "my_net")?;
        let a = h4.run("a", "--network my_net")?;
        let before = shown(h1, "h4")?;
        let (secret, file) = (w.dir().join("passphrase"), w.dir().join("swarm.backup"));
        std::fs::write(&secret, "correct horse battery\n")?;
        let files = format!("--passphrase-file {} {}", secret.display(), file.display());
        h1.ctl(&format!("backup {files}"))?.ok()?;
        [h1, h2, h3].into_iter().try_for_each(Host::kill)?;
        h5.start()?;
        h5.ctl(&format!("restore {files}"))?.ok()?;
        // A worker that never stopped, and a former manager that finds none of its own.
        h4.ctl("rejoin 10.88.0.5")?.ok()?;
        is_found_at(h5, "h4", "10.88.0.4", &before)?;
        h3.start()?;
        h3.ctl("rejoin 10.88.0.5")?.ok()?;
        within(Duration::from_secs(40), "the former manager is a worker there", || {
            ensure!(view::text(&h3.info()?, "role").as_deref() == Some("worker"));
            let row = h5.nodes()?.into_iter().find(|n| n.hostname == "h3").context("not listed")?;
            ensure!(row.status == "Ready" && row.manager.is_empty(), "{row:?}");
            Ok(())
        })?;
        let b = h3.run("b", "--network my_net")?;
        all_ping(&[&a, &b])
    });
}

/// An address that was typed stays until an operator types another one.
#[test]
fn f25_rejoin_with_another_advertised_address() {
    scenario(Setup::hosts(2), |w| {
        w.hosts().iter().try_for_each(Host::start)?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("init --advertise-addr 10.88.0.1")?.ok()?;
        h2.ctl(&format!("join --token {} --advertise-addr 10.88.0.2 10.88.0.1", h1.token("manager")?))?
            .ok()?;
        w.settled(2)?;
        let before = shown(h1, "h2")?;
        h2.ctl("rejoin --advertise-addr 10.88.0.99 10.88.0.1")?
            .refused_naming(&[code::FAILED], &["10.88.0.99", "--advertise-addr", "nothing was changed"])?;
        ensure!(view::text(&h2.info()?, "node_addr").as_deref() == Some("10.88.0.2"));
        let ip = readdress(h2, 102)?;
        h2.ctl(&format!("rejoin --advertise-addr {ip} 10.88.0.1"))?.ok()?;
        is_found_at(h1, "h2", &ip, &before)?;
        decides("it serves", h2, "by_h2")
    });
}

/// Nobody dials a worker before it is taken at its word.
#[test]
fn f25_a_worker_is_not_sent_where_nobody_reaches_it() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h2.start()?;
        let token = h1.token("worker")?;
        h2.ctl(&format!("join --token {token} --advertise-addr 127.0.0.1 10.88.0.1"))?
            .refused_naming(&code::BAD_INPUT, &["loopback"])?;
        h2.is_outside()?;
        h2.ctl(&format!("join --token {token} 10.88.0.1"))?.ok()?;
        w.settled(2)?;
        create(h1, "my_net")?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        for slip in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "10.88.0.99"] {
            h2.ctl(&format!("rejoin --advertise-addr {slip} 10.88.0.1"))?
                .refused_naming(&code::BAD_INPUT, &["--advertise-addr", slip, "nothing was changed"])?;
        }
        ensure!(view::text(&h2.info()?, "node_addr").as_deref() == Some("10.88.0.2"));
        a.pings(&b.ip()?.to_string())
    });
}

#[test]
fn f25_rejoin_tells_a_node_that_was_removed() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h2.ctl("rejoin 10.88.0.1")?.ok()?;
        h1.ctl("node rm self")?.refused_naming(&[code::FAILED], &["is a manager", "node demote"])?;
        h1.ctl("node rm --force h2")?.ok()?;
        eventually("the manager has let it go", || {
            h2.ctl("rejoin 10.88.0.1")?
                .refused_naming(
                    &[code::REFUSED],
                    &["is not a member", "leave --force", "nothing was changed"],
                )
                .map(drop)
        })
    });
}

/// From here on this host takes names from its own file.
fn call(host: &Host, name: &str, ip: &str) -> Result<()> {
    host.sh(&format!(
        "grep -q /etc/hosts /proc/mounts || {{ cp /etc/hosts /run/hosts && mount --bind /run/hosts /etc/hosts; }}\n\
         sed '/{name}/d' /etc/hosts >/run/hosts.new && cat /run/hosts.new >/etc/hosts && echo {ip} {name} >>/etc/hosts"
    ))?
    .ok()
    .map(drop)
}

#[test]
fn f25_a_worker_finds_its_only_manager_by_name() {
    scenario(Setup::hosts(3), |w| {
        w.form_first(1, &[])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        h3.start()?;
        h3.ctl("init")?.ok()?;
        call(h2, "manager.example", "10.88.0.1")?;
        h2.start()?;
        // The first address is dead, the second is another cluster's.
        let token = h1.token("worker")?;
        h2.ctl(&format!("join --token {token} 10.88.0.77:2377 10.88.0.3 manager.example"))?.ok()?;
        w.settled(2)?;
        create(h1, "my_net")?;
        let before = shown(h1, "h2")?;
        readdress(h1, 101)?;
        call(h2, "manager.example", "10.88.0.101")?;
        within(Duration::from_secs(40), "the worker is back without a command", || {
            h2.run("a", "--network my_net").map(drop)
        })?;
        is_found_at(h1, "h2", "10.88.0.2", &before)
    });
}
