//! Joining a cluster: S6–S8, S10–S12, S14.

use crate::code;
use crate::init::join_line;
use anyhow::{Result, ensure};
use std::time::Duration;
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Host, Setup, World, eventually, scenario, view};

fn is_pending(host: &Host) -> Result<()> {
    let info = host.ctl("info")?.ok()?.to_lowercase();
    ensure!(info.contains("pending"), "the join should still be pending: {info}");
    Ok(())
}

/// Cuts a host off the wire, or plugs it in again.
fn plug(world: &World, host: usize, state: &str) -> Result<()> {
    world.wire.sh(&format!("ip link set p{host} {state}"))?.ok().map(drop)
}

#[test]
fn s6_a_cluster_over_ipv6() {
    scenario(Setup::hosts(2).ipv6(), |w| {
        let (h1, h2) = (w.host(1), w.host(2));
        h1.start()?;
        h2.start()?;
        let (token, address) =
            join_line(&h1.ctl("init --listen-addr [fd88::1]:2377 --advertise-addr [fd88::1]:2377")?.ok()?)?;
        ensure!(address == "[fd88::1]:2377", "{address}");
        h2.ctl(&format!("join --token {token} --advertise-addr fd88::2 {address}"))?.ok()?;
        w.settled(2)?;
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        all_ping(&[&a, &b])?;
        ensure!(
            a.mtu("eth0")? == 1430,
            "an IPv6 underlay takes 70 bytes of 1500, eth0 has {}",
            a.mtu("eth0")?
        );
        Ok(())
    });
}

#[test]
fn s7_bad_tokens_have_three_different_errors() {
    scenario(Setup::hosts(3), |w| {
        w.host(1).start()?;
        w.host(1).ctl("init")?.ok()?;
        w.host(3).start()?;
        w.host(3).ctl("init")?.ok()?;
        let h2 = w.host(2);
        h2.start()?;
        let (own, foreign) = (w.host(1).token("worker")?, w.host(3).token("worker")?);
        let wrong = format!("{}{}", &own[..own.len() - 25], &foreign[foreign.len() - 25..]);
        let mut said = Vec::new();
        for token in ["garbage", "SWMTKN-1-abc-def", &foreign, &wrong] {
            said.push(h2.ctl(&format!("join --token {token} 10.88.0.1:2377"))?.refused(&[code::REFUSED])?);
            h2.is_outside()?;
        }
        said.remove(0);
        said.sort();
        said.dedup();
        ensure!(said.len() == 3, "malformed, foreign and wrong tokens should be told apart: {said:?}");
        h2.ctl("join 10.88.0.1:2377")?.refused(&[code::USAGE])?;
        h2.is_outside()?;
        ensure!(w.host(1).nodes()?.len() == 1, "a refused node is listed");
        h2.ctl(&format!("join --token {own} 10.88.0.1:2377"))?.ok().map(drop)
    });
}

#[test]
fn s8_the_token_decides_the_role() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["worker", "manager"])?;
        let rows = w.host(1).nodes()?;
        let manager = |name: &str| rows.iter().find(|r| r.hostname == name).map(|r| r.manager.clone());
        ensure!(manager("h2").as_deref() == Some(""), "{rows:?}");
        ensure!(manager("h3").as_deref() == Some("Reachable"), "{rows:?}");
        let role =
            |n: usize| Ok::<_, anyhow::Error>(view::text(&w.host(n).info()?, "role").unwrap_or_default());
        ensure!(role(2)?.to_lowercase().contains("worker") && role(3)?.to_lowercase().contains("manager"));
        ensure!(w.host(3).nodes()?.len() == 3, "the second manager answers too");
        Ok(())
    });
}

#[test]
fn s8_a_token_is_also_taken_from_a_file_or_standard_input() {
    scenario(Setup::hosts(3), |w| {
        w.hosts().iter().try_for_each(Host::start)?;
        w.host(1).ctl("init")?.ok()?;
        let token = w.host(1).token("worker")?;
        w.host(2).sh(&format!("echo {token} >/run/token"))?.ok()?;
        w.host(2).ctl("join --token-file /run/token 10.88.0.1:2377")?.ok()?;
        let swarmctl = swarm_tests::host::binary("swarmctl")?;
        w.host(3).sh(&format!("echo {token} | {swarmctl} join --token-file - 10.88.0.1:2377"))?.ok()?;
        w.settled(3)
    });
}

#[test]
fn s10_tokens_rotate_each_on_its_own() {
    scenario(Setup::hosts(4), |w| {
        w.form_first(2, &["worker"])?;
        let h1 = w.host(1);
        let (old, manager) = (h1.token("worker")?, h1.token("manager")?);
        let new = h1.ctl("join-token --rotate -q worker")?.ok()?;
        ensure!(new != old && new == h1.token("worker")? && manager == h1.token("manager")?);
        w.host(3).start()?;
        w.host(3).ctl(&format!("join --token {old} 10.88.0.1:2377"))?.refused(&[code::REFUSED])?;
        w.host(3).is_outside()?;
        w.host(3).ctl(&format!("join --token {manager} 10.88.0.1:2377"))?.ok()?;
        w.host(4).start()?;
        w.host(4).ctl(&format!("join --token {new} 10.88.0.1:2377"))?.ok()?;
        w.settled(4)
    });
}

#[test]
fn s11_a_join_without_answer_goes_on_and_leave_cancels_it() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let (token, h2) = (w.host(1).token("worker")?, w.host(2));
        h2.start()?;
        let joined = h2.ctl(&format!("join --token {token} 10.88.0.77:2377"))?;
        let took = joined.took;
        joined.refused_naming(&[code::UNAVAILABLE], &["10.88.0.77", "leave"])?;
        ensure!((15..=25).contains(&took.as_secs()), "gave up after {took:?}, expected about 20 s");
        is_pending(h2)?;
        h2.ctl("leave")?.ok()?;
        h2.is_outside()?;
        h2.ctl(&format!("join --token {token} 10.88.0.77:2377 10.88.0.1:2377"))?.ok()?;
        w.settled(2)
    });
}

#[test]
fn s12_a_pending_join_outlives_the_daemon() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let (token, h2) = (w.host(1).token("worker")?, w.host(2));
        h2.start()?;
        plug(w, 1, "down")?;
        h2.ctl(&format!("join --token {token} 10.88.0.1:2377"))?.refused(&[code::UNAVAILABLE])?;
        is_pending(h2)?;
        h2.restart()?;
        is_pending(h2)?;
        plug(w, 1, "up")?;
        w.settled(2)?;
        eventually("the joiner knows", || {
            ensure!(!h2.ctl("info")?.ok()?.to_lowercase().contains("pending"));
            Ok(())
        })
    });
}

#[test]
fn s14_a_manager_address_where_something_else_answers() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let (token, h2) = (w.host(1).token("worker")?, w.host(2));
        h2.start()?;
        let closed = format!("{}:1", w.host(1).ip);
        let listener = swarm_tests::space::Space::in_net(&w.wire.net(), || {
            Ok(std::net::TcpListener::bind("10.88.0.253:2377")?)
        })?;
        std::thread::scope(|scope| {
            scope.spawn(move || greet_twice(&listener));
            for address in ["10.88.0.253:2377", &closed] {
                let out = h2.ctl(&format!("join --token {token} {address}"))?;
                out.refused_naming(&[code::FAILED, code::UNAVAILABLE], &[address])?;
                h2.ctl("leave --force")?;
                h2.is_outside()?;
            }
            Ok(())
        })
    });
}

/// Says something that is no TLS to whoever connects, for as long as anybody may still try.
fn greet_twice(listener: &std::net::TcpListener) {
    use std::io::Write;
    while let Ok((mut stream, _)) = swarm_tests::traffic::accept(listener) {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
    }
}

#[test]
fn s82_a_node_that_left_may_join_again() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let before = view::text(&w.host(2).info()?, "node_id").unwrap_or_default();
        w.host(2).ctl("leave")?.ok()?;
        w.host(2).is_outside()?;
        let token = w.host(1).token("worker")?;
        let (_, took) = swarm_tests::within(Duration::from_secs(10), "joins again", || {
            w.host(2).ctl(&format!("join --token {token} 10.88.0.1:2377"))?.ok()
        })?;
        let after = view::text(&w.host(2).info()?, "node_id").unwrap_or_default();
        ensure!(before != after, "a node that left comes back as a new one (after {took:?})");
        Ok(())
    });
}
