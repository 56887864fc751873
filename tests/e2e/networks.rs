//! Networks and what is attached to them: S78, S80–S82, S94, B8, references.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Setup, eventually, scenario, view, within};

#[test]
fn s78_a_network_that_is_not_attachable_takes_nobody() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create sealed")?.ok()?;
        w.host(1).ctl("network create --attachable open")?.ok()?;
        for host in w.hosts() {
            let net = host.bare("x")?;
            let attach = host.ctl(&format!("attach --network sealed --name x --netns {net}"))?;
            attach.refused_naming(&[code::REFUSED, code::FAILED], &["sealed", "attachable"])?;
            let run = host.ctl("run --network sealed -- true")?;
            run.refused_naming(&[code::RUN_FAILED], &["sealed", "attachable"])?;
            let there = host.run("there", "--network open")?;
            let connect = host.ctl("network connect sealed there")?;
            connect.refused_naming(&[code::REFUSED, code::FAILED], &["sealed", "attachable"])?;
            ensure!(
                there.ip_on("eth1").is_err() || !there.ip_on("eth1")?.to_string().starts_with("10."),
                "connected"
            );
            there.remove()?;
        }
        Ok(())
    });
}

#[test]
fn s80_networks_are_named_by_name_id_or_prefix() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let id = w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let a = w.host(1).run("a", &format!("--network {id}"))?;
        let b = w.host(2).run("b", &format!("--network {}", &id[..12]))?;
        let c = w.host(2).attach("c", &format!("--network {id}"))?;
        all_ping(&[&a, &b, &c])
    });
}

#[test]
fn references_that_fit_nothing_or_too_much_are_told_apart() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        for words in [
            "network inspect nope",
            "network rm nope",
            "node inspect nope",
            "rm nope",
            "detach nope",
            "exec nope -- true",
        ] {
            let expected = if words.starts_with("exec") {
                vec![code::NOT_FOUND, code::RUN_FAILED]
            } else {
                vec![code::NOT_FOUND]
            };
            h1.ctl(words)?.refused_naming(&expected, &["nope", "not found"])?;
        }
        // With 37 ids, two begin alike.
        let mut ids: Vec<String> = Vec::new();
        let shared = loop {
            let id = h1.ctl(&format!("network create n{}", ids.len()))?.ok()?;
            let twin = ids.iter().find(|other| other[..1] == id[..1]).cloned();
            ids.push(id.clone());
            if twin.is_some() {
                break id[..1].to_owned();
            }
        };
        let found = h1.ctl(&format!("network inspect {shared}"))?;
        found.refused_naming(&[code::NOT_FOUND], &["ambiguous", "matches"])?;
        h1.ctl(&format!("network rm {}", ids[0]))?.ok()?;
        h1.ctl("network prune -f")?.ok()?;
        let left = h1.ctl("network ls")?.ok()?;
        ensure!(!left.contains("n1 ") && left.contains("ingress"), "{left}");
        Ok(())
    });
}

#[test]
fn s81_a_network_in_use_is_not_removed() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (near, far) = (h1.run("near", "--network my_net")?, w.host(2).attach("far", "--network my_net")?);
        h1.ctl("network rm my_net")?.refused_naming(&[code::FAILED], &["in use", "near", "far"])?;
        all_ping(&[&near, &far])?;
        near.remove()?;
        h1.ctl("network rm my_net")?.refused_naming(&[code::FAILED], &["in use", "far"])?;
        far.remove()?;
        h1.ctl("network rm my_net")?.ok()?;
        for host in w.hosts() {
            eventually("no device of it is left", || no_overlay(host))?;
        }
        Ok(())
    });
}

/// Fails if this host still holds an overlay's namespace.
fn no_overlay(host: &swarm_tests::Host) -> Result<()> {
    let found = host.sh("for n in /run/swarmd/netns/*; do [ -e $n ] && nsenter --net=$n ip -o link show type vxlan; done; true")?.ok()?;
    ensure!(found.is_empty(), "{}: {found}", host.name);
    Ok(())
}

#[test]
fn s82_a_node_that_leaves_takes_its_endpoints_along() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        let address = b.ip()?.to_string();
        h2.attach("c", "--network my_net")?;
        all_ping(&[&a, &b])?;
        h2.ctl("leave")?.ok()?;
        h2.is_outside()?;
        no_overlay(h2)?;
        let left = h2
            .sh("ps ax | grep -c '[s]leep 1000' || true; ip -o link show type veth | grep -v eth0@ || true")?
            .ok()?;
        ensure!(left.trim() == "0", "the sandbox or its devices are still there: {left}");
        eventually("the names and addresses are gone", || {
            ensure!(a.resolves("b")?.is_empty() && a.resolves("c")?.is_empty());
            let shown = h1.network("my_net")?.to_string();
            ensure!(!shown.contains(&address), "{shown}");
            Ok(())
        })?;
        a.remove()?;
        h1.ctl("network rm my_net")?.ok().map(drop)
    });
}

#[test]
fn s94_disconnect_and_connect_again() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        h1.ctl("network create --attachable other")?.ok()?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        let before = b.ip()?;
        all_ping(&[&a, &b])?;
        h2.ctl("network disconnect my_net b")?.ok()?;
        eventually("its name is gone", || {
            ensure!(a.resolves("b")?.is_empty());
            Ok(())
        })?;
        a.pings(&before.to_string()).err().context("it still answers")?;
        // An address in between, so that it gets another one than before.
        let between = h1.run("between", "--network my_net")?;
        h2.ctl("network connect --alias again my_net b")?.ok()?;
        let after = b.ip()?;
        within(Duration::from_secs(1), "the new address is known", || {
            ensure!(a.resolves("b")? == [after.to_string()] && a.resolves("again")? == [after.to_string()]);
            Ok(())
        })?;
        all_ping(&[&a, &b, &between])?;
        h2.ctl("network connect other b")?.ok()?;
        ensure!(
            b.ip_on("eth0")? == after && b.ip_on("eth1").is_ok(),
            "a second network is a second interface"
        );
        h2.ctl("network disconnect other b")?.ok()?;
        ensure!(b.ip_on("eth0")? == after, "the first interface stays");
        Ok(())
    });
}

#[test]
fn b8_an_address_moves_to_another_host_at_once() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["worker", "worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        h1.ctl("network create --attachable --subnet 10.80.0.0/24 my_net")?.ok()?;
        let watch = h3.run("watch", "--network my_net")?;
        for (round, host) in [h1, h2, h3, h2, h1].into_iter().enumerate() {
            let name = format!("mover{round}");
            let mover = host.run(&name, "--network my_net --ip 10.80.0.77")?;
            ensure!(mover.ip()?.to_string() == "10.80.0.77");
            within(Duration::from_millis(500), "reached at once", || watch.pings("10.80.0.77"))?;
            within(Duration::from_millis(500), "the name follows", || {
                ensure!(watch.resolves(&name)? == ["10.80.0.77"]);
                Ok(())
            })?;
            let taken = h2.ctl("run --network my_net --ip 10.80.0.77 -- true")?;
            taken.refused_naming(&[code::RUN_FAILED], &["10.80.0.77"])?;
            mover.remove()?;
        }
        let outside = h1.ctl("run --network my_net --ip 10.81.0.1 -- true")?;
        outside.refused_naming(&[code::RUN_FAILED], &["10.81.0.1"])?;
        let gateway = h1.ctl("run --network my_net --ip 10.80.0.1 -- true")?;
        gateway.refused_naming(&[code::RUN_FAILED], &["10.80.0.1"]).map(drop)
    });
}

#[test]
fn an_interface_name_that_is_taken_is_refused() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let net = h1.bare("x")?;
        h1.sh("ip -n x link add eth7 type veth peer name eth8")?.ok()?;
        let words = format!("attach --network my_net --name x --netns {net}");
        h1.ctl(&format!("{words} --ifname eth7"))?.refused_naming(&[code::FAILED], &["eth7"])?;
        h1.ctl(&format!("{words} --ifname name-of-sixteen-"))?.refused(&code::BAD_INPUT)?;
        ensure!(h1.ctl("ps -q")?.ok()?.is_empty(), "the refused one is listed");
        let shown = h1.network("my_net")?.to_string();
        ensure!(!shown.contains("\"x\""), "an endpoint is left: {shown}");
        h1.ctl(&format!("{words} --ifname lan0"))?.ok()?;
        let x = h1.sh("ip -n x -o -4 addr show dev lan0")?.ok()?;
        ensure!(x.contains("inet 10."), "{x}");
        let again = h1.ctl(&format!("attach --network my_net --name x --netns {net}"))?;
        again.refused_naming(&[code::FAILED], &["x"])?;
        let listed = view::lines(&h1.ctl("ps --format json")?.ok()?)?;
        ensure!(listed.len() == 1, "{listed:?}");
        Ok(())
    });
}

#[test]
fn attach_by_pid_with_chosen_addresses() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable --subnet 10.82.0.0/24 my_net")?.ok()?;
        let a = h1.run("a", "--network my_net")?;
        let pid = h1.sh("unshare -n sleep 1000 >/dev/null 2>&1 & echo $!")?.ok()?;
        let flags = format!("--pid {pid} --ip 10.82.0.9 --mac 02:00:00:00:00:99 --alias nine");
        h1.ctl(&format!("attach --network my_net --name x {flags}"))?.ok()?;
        a.pings("10.82.0.9")?;
        ensure!(a.resolves("nine")? == ["10.82.0.9"]);
        let mac = h1.sh(&format!("nsenter -t {pid} -n ip -o link show dev eth0"))?.ok()?;
        ensure!(mac.contains("02:00:00:00:00:99"), "{mac}");
        h1.ctl("detach x")?.ok()?;
        h1.sh(&format!("nsenter -t {pid} -n ip -o link show dev eth0"))?.fails()?;
        h1.ctl("attach --network my_net --name y --pid 999999")?
            .refused_naming(&[code::FAILED, code::NOT_FOUND], &["999999"])?;
        h1.ctl("attach --network my_net --name y --netns /no/such/file")?
            .refused(&[code::FAILED, code::NOT_FOUND])
            .map(drop)
    });
}
