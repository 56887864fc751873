//! Becoming a cluster: S1–S4, S13, S14, S17, S18.

use crate::code;
use anyhow::{Context, Result, bail, ensure};
use swarm_tests::capture::Counter;
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Host, Setup, scenario, view};

/// The join token printed in a line that can be pasted, and the address it names.
pub fn join_line(text: &str) -> Result<(String, String)> {
    let line = text
        .lines()
        .find(|l| l.contains("swarmctl join --token"))
        .with_context(|| format!("no join line in {text}"))?;
    let words: Vec<&str> = line.split_whitespace().skip_while(|w| *w != "--token").skip(1).collect();
    let [token, address] = words[..] else { bail!("expected `--token TOKEN ADDRESS`: {line}") };
    let parts: Vec<usize> = token.split('-').map(str::len).collect();
    ensure!(token.starts_with("SWMTKN-1-") && parts == [6, 1, 50, 25], "not a join token: {token}");
    Ok((token.to_owned(), address.to_owned()))
}

#[test]
fn s1_init_makes_a_leader_and_prints_the_join_line() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.start()?;
        h1.is_outside()?;
        let (token, address) = join_line(&h1.ctl("init")?.ok()?)?;
        ensure!(address == "10.88.0.1:2377", "the line names {address}");
        ensure!(token == h1.token("worker")?, "another token than `join-token -q worker`");
        let (again, _) = join_line(&h1.ctl("join-token manager")?.ok()?)?;
        ensure!(again == h1.token("manager")? && again != token);
        w.settled(1)?;
        let node = h1.nodes()?.remove(0);
        ensure!(
            node.own && node.hostname == "h1" && node.availability == "Active" && node.manager == "Leader",
            "{node:?}"
        );
        ensure!(!node.version.is_empty());
        Ok(())
    });
}

#[test]
fn s2_a_member_neither_inits_nor_joins_again() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        let before = h1.nodes()?;
        let token = h1.token("worker")?;
        for host in [h1, h2] {
            host.ctl("init")?.refused_naming(&[code::FAILED], &["already", "leave"])?;
            host.ctl(&format!("join --token {token} {}:2377", h1.ip))?
                .refused_naming(&[code::FAILED], &["already"])?;
        }
        ensure!(h1.nodes()? == before, "the nodes changed");
        ensure!(h1.token("worker")? == token, "the token changed");
        Ok(())
    });
}

#[test]
fn s3_several_addresses_need_a_choice() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.sh("ip addr add 10.88.0.101/24 dev eth0")?.ok()?;
        h1.start()?;
        h1.ctl("init")?.refused_naming(&[code::FAILED], &["10.88.0.1", "10.88.0.101", "--advertise-addr"])?;
        h1.is_outside()?;
        let (_, address) = join_line(&h1.ctl("init --advertise-addr 10.88.0.101")?.ok()?)?;
        ensure!(address == "10.88.0.101:2377", "{address}");
        Ok(())
    });
}

#[test]
fn s3_an_interface_or_a_port_may_be_given_too() {
    scenario(Setup::hosts(2), |w| {
        let (h1, h2) = (w.host(1), w.host(2));
        h1.start()?;
        h2.start()?;
        let (token, address) =
            join_line(&h1.ctl("init --advertise-addr eth0:2400 --listen-addr 0.0.0.0:2400")?.ok()?)?;
        ensure!(address == "10.88.0.1:2400", "{address}");
        h2.ctl(&format!("join --token {token} --advertise-addr eth0 {address}"))?.ok()?;
        w.settled(2)
    });
}

#[test]
fn s4_a_zero_data_path_address_is_refused() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.start()?;
        for flag in ["--data-path-addr 0.0.0.0", "--data-path-addr ::", "--advertise-addr 0.0.0.0"] {
            h1.ctl(&format!("init {flag}"))?.refused(&code::BAD_INPUT)?;
            h1.is_outside()?;
        }
        Ok(())
    });
}

#[test]
fn s13_availability_is_set_at_init_and_join() {
    scenario(Setup::hosts(3), |w| {
        w.hosts().iter().try_for_each(Host::start)?;
        w.host(1).ctl("init --availability drain")?.ok()?;
        let token = w.host(1).token("worker")?;
        w.host(2).ctl(&format!("join --availability drain --token {token} 10.88.0.1:2377"))?.ok()?;
        w.host(3).ctl(&format!("join --availability pause --token {token} 10.88.0.1:2377"))?.ok()?;
        w.settled(3)?;
        let shown: Vec<String> = w.host(1).nodes()?.into_iter().map(|r| r.availability).collect();
        ensure!(shown == ["Drain", "Drain", "Pause"], "{shown:?}");
        Ok(())
    });
}

#[test]
fn s14_addresses_that_are_none_are_refused() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let (token, h2) = (w.host(1).token("worker")?, w.host(2));
        h2.start()?;
        let inits = [
            "--listen-addr nonsense:2377",
            "--listen-addr 0.0.0.0:99999",
            "--listen-addr 10.88.0.77:2377",
            "--advertise-addr 300.1.2.3",
            "--advertise-addr no-such-if0",
            "--data-path-addr no-such-if0",
            "--advertise-addr 10.88.0.2:0x",
        ];
        for flags in inits {
            h2.ctl(&format!("init {flags}"))?.refused(&code::BAD_INPUT)?;
            h2.is_outside()?;
        }
        for rest in [
            "10.88.0.1:port",
            "10.88.0.1:99999",
            "[fd88::1:2377",
            "--advertise-addr no-such-if0 10.88.0.1:2377",
        ] {
            h2.ctl(&format!("join --token {token} {rest}"))?.refused(&code::BAD_INPUT)?;
            h2.is_outside()?;
        }
        Ok(())
    });
}

#[test]
fn s17_data_path_port_is_used_by_all() {
    scenario(Setup::hosts(2), |w| {
        w.hosts().iter().try_for_each(Host::start)?;
        w.host(1).ctl("init --data-path-port 7777")?.ok()?;
        let token = w.host(1).token("worker")?;
        w.host(2).ctl(&format!("join --token {token} 10.88.0.1:2377"))?.ok()?;
        w.settled(2)?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(1).run("a", "--network my_net")?, w.host(2).run("b", "--network my_net")?);
        let wire = w.wire.net();
        let there = Counter::on_bridge(&wire, "ip saddr 10.88.0.1 udp dport 7777")?;
        let back = Counter::on_bridge(&wire, "ip saddr 10.88.0.2 udp dport 7777")?;
        let default = Counter::on_bridge(&wire, "udp dport 4789")?;
        all_ping(&[&a, &b])?;
        ensure!(there.packets()? > 0 && back.packets()? > 0, "nothing went over 7777");
        ensure!(default.packets()? == 0, "something still goes over 4789");
        for host in w.hosts() {
            let port = view::number(&host.info()?, "data_path_port");
            ensure!(port == Some(7777), "{} shows {port:?}", host.name);
        }
        Ok(())
    });
}

#[test]
fn s18_a_data_path_port_out_of_range_is_refused() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.start()?;
        for port in ["80", "50000", "1023", "49152"] {
            let out = h1.ctl(&format!("init --data-path-port {port}"))?;
            out.refused_naming(&code::BAD_INPUT, &["1024", "49151"])?;
            h1.is_outside()?;
        }
        Ok(())
    });
}
