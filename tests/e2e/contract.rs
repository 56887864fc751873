//! Sentences of the contract that no numbered scenario plays.

use crate::code;
use anyhow::ensure;
use swarm_tests::capture::Counter;
use swarm_tests::dns::{Says, Upstream};
use swarm_tests::world::OUTSIDE;
use swarm_tests::{Setup, eventually, scenario, view};

#[test]
fn walk_through_three_hosts_ping_each_other_by_name() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["worker", "manager"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let boxes = [
            w.host(1).run("one", "--network my_net")?,
            w.host(2).run("two", "--network my_net")?,
            w.host(3).run("three", "--network my_net")?,
        ];
        for from in &boxes {
            for to in boxes.iter().filter(|to| to.name != from.name) {
                // No second chance: when `run` has answered, names and paths are there within 100 ms.
                swarm_tests::within(std::time::Duration::from_millis(100), "resolves", || {
                    let found = from.resolves(&to.name)?;
                    ensure!(found == [to.ip()?.to_string()], "{found:?}");
                    Ok(())
                })?;
                from.pings_name(&to.name)?;
            }
        }
        Ok(())
    });
}

#[test]
fn run_passes_the_commands_own_exit_code_on() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        for (script, expected) in [("true", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
            let out = h1.ctl_args(&["run", "--network", "my_net", "--", "sh", "-c", script])?;
            ensure!(out.code == expected, "expected {expected}: {out}");
        }
        h1.ctl("run --network no-such-net -- true")?
            .refused_naming(&[code::RUN_FAILED], &["no-such-net", "not found"])?;
        h1.ctl("run --network my_net -- /no/such/program")?.refused(&[code::RUN_FAILED, 126, 127])?;
        eventually("nothing is left of them", || {
            let left = h1.ctl("ps -q")?.ok()?;
            ensure!(left.is_empty(), "{left}");
            Ok(())
        })
    });
}

#[test]
fn what_a_command_started_ends_with_it_and_its_name_is_free_at_once() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let run = ["run", "--name", "a", "--network", "my_net", "--", "sh", "-c"];
        for _ in 0..3 {
            let script = "sleep 1000 >/dev/null 2>&1 & setsid sleep 1000 >/dev/null 2>&1 & echo $!";
            let left = h1.ctl_args(&[&run[..], &[script]].concat())?.ok()?;
            h1.sh(&format!("! grep -q 'State:.*[RSD]' /proc/{left}/status"))?.ok()?;
        }
        for _ in 0..3 {
            let b = h1.run("b", "--network my_net")?;
            let pid = h1.sandbox_pid(&b.name)?;
            let runs = format!("grep -q 'State:.*[RSD]' /proc/{pid}/status 2>/dev/null");
            h1.sh(&format!("kill -9 {pid}; while {runs}; do :; done"))?.ok()?;
        }
        h1.run("b", "--network my_net").map(drop)
    });
}

#[test]
fn run_gives_the_command_its_own_name_resolver_and_variables() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let script = "hostname; cat /etc/resolv.conf; echo var=$COLOUR; ip -o addr show eth0; cat /etc/hosts";
        let args = [
            "run",
            "--name",
            "web",
            "--hostname",
            "front",
            "--network",
            "my_net",
            "-e",
            "COLOUR=blue",
            "--",
            "sh",
            "-c",
            script,
        ];
        let said = h1.ctl_args(&args)?.ok()?;
        for fact in ["front\n", "nameserver 127.0.0.11", "var=blue", "inet 10.0.", "127.0.0.1"] {
            ensure!(said.contains(fact), "no {fact:?} in {said}");
        }
        ensure!(h1.sh("hostname")?.ok()? == "h1", "the host's own name changed");
        let resolv = h1.sh("cat /etc/resolv.conf")?.ok()?;
        ensure!(!resolv.contains("127.0.0.11"), "the host's own resolver changed: {resolv}");
        Ok(())
    });
}

#[test]
fn without_a_daemon_the_exit_code_is_4_and_outside_a_cluster_commands_say_so() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.ctl("info")?.refused_naming(&[code::UNAVAILABLE], &["swarmd"])?;
        h1.start()?;
        for words in ["node ls", "join-token worker", "network create x", "leave"] {
            h1.ctl(words)?.refused(&[code::FAILED, code::UNAVAILABLE])?;
        }
        h1.ctl("no-such-verb")?.refused(&[code::USAGE])?;
        h1.ctl("network create")?.refused(&[code::USAGE])?;
        Ok(())
    });
}

#[test]
fn a_fresh_member_lists_its_networks() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        for host in w.hosts() {
            let text = host.ctl("network ls")?.ok()?;
            let rows = view::table(&text, &["NETWORK ID", "NAME", "DRIVER", "SCOPE"])?;
            let scope = |name: &str| rows.iter().find(|r| r[1] == name).map(|r| r[3].clone());
            for name in ["bridge", "host", "none", "swarm_gwbridge"] {
                ensure!(scope(name).as_deref() == Some("local"), "{} lists {name}: {text}", host.name);
            }
            let ingress = rows.iter().find(|r| r[1] == "ingress");
            ensure!(ingress.is_some_and(|r| r[2] == "overlay" && r[3] == "swarm"), "{}: {text}", host.name);
            ensure!(rows.iter().all(|r| r[0].len() == 12), "short ids have 12 characters: {text}");
        }
        for network in ["ingress", "bridge"] {
            w.host(1).ctl(&format!("network rm {network}"))?.refused_naming(&[code::FAILED], &[network])?;
        }
        Ok(())
    });
}

#[test]
fn a_sandbox_reaches_the_outside_and_an_internal_one_does_not() {
    scenario(Setup::hosts(1), |w| {
        let _upstream = Upstream::start(&w.wire.net(), OUTSIDE, |_| Says::Address([192, 0, 2, 1].into()))?;
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable open")?.ok()?;
        h1.ctl("network create --attachable --internal closed")?.ok()?;
        let (free, kept) = (h1.run("free", "--network open")?, h1.run("kept", "--network closed")?);
        let masqueraded = Counter::at_input(&w.wire.net(), "ip saddr 10.88.0.1 icmp type echo-request")?;
        let bare = Counter::at_input(&w.wire.net(), "ip saddr 172.16.0.0/12")?;
        free.pings(OUTSIDE)?;
        ensure!(masqueraded.packets()? > 0 && bare.packets()? == 0, "not masqueraded as the host's address");
        ensure!(free.resolves("www.example.com")? == ["192.0.2.1"], "forwarded names resolve");
        kept.sh(&format!("ping -n -c 1 -W 1 {OUTSIDE}"))?.fails()?;
        ensure!(kept.resolves("www.example.com")?.is_empty(), "an internal network asks outside");
        Ok(())
    });
}

#[test]
fn two_networks_never_see_each_other() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable red")?.ok()?;
        h1.ctl("network create --attachable blue")?.ok()?;
        let (r1, r2) = (h1.run("r1", "--network red")?, h2.run("r2", "--network red")?);
        let b1 = h1.run("b1", "--network blue")?;
        let both = h2.run("both", "--network red --network blue")?;
        swarm_tests::sandbox::all_ping(&[&r1, &r2])?;
        for from in [&r1, &r2] {
            from.sh(&format!("ping -n -c 1 -W 1 {}", b1.ip()?))?.fails()?;
            ensure!(from.resolves("b1")?.is_empty(), "{} resolves a name of another network", from.name);
        }
        b1.pings_name("both")?;
        r1.pings_name("both")?;
        let (on_red, on_blue) = (both.ip_on("eth0")?, both.ip_on("eth1")?);
        ensure!(r1.resolves("both")? == [on_red.to_string()], "names differ by network");
        ensure!(b1.resolves("both")? == [on_blue.to_string()], "names differ by network");
        Ok(())
    });
}

#[test]
fn the_first_ping_to_a_name_that_resolves_is_answered() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let near = w.host(2).run("near", "--network my_net")?;
        for round in 0..10 {
            let name = format!("new{round}");
            let far = w.host(1).run(&name, "--network my_net")?;
            eventually("its name is known", || {
                ensure!(near.resolves(&name)? == [far.ip()?.to_string()]);
                Ok(())
            })?;
            near.pings_name(&name)?;
            far.pings_name("near")?;
            far.remove()?;
        }
        Ok(())
    });
}

#[test]
fn the_endpoint_goes_when_the_command_ends() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        let near = h1.run("near", "--network my_net")?;
        h2.run("far", "--network my_net")?;
        eventually("it is known", || near.pings_name("far"))?;
        ensure!(
            h2.ctl_args(&["exec", "far", "--", "sh", "-c", "exit 7"])?.code == 7,
            "exec passes the code on"
        );
        h2.sh("kill -9 $(pgrep -x sleep)")?.ok()?;
        eventually("nothing is left of it", || {
            ensure!(near.resolves("far")?.is_empty() && h2.ctl("ps -q")?.ok()?.is_empty());
            ensure!(h2.sh("ls /run/swarmd/netns")?.ok()?.is_empty(), "namespaces are left");
            ensure!(!h1.network("my_net")?.to_string().contains("\"far\""), "the endpoint is left");
            Ok(())
        })?;
        h2.ctl("exec far -- true")?.refused(&[code::NOT_FOUND, code::RUN_FAILED]).map(drop)
    });
}

#[test]
fn the_last_manager_leaves_by_force_only() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        h1.run("a", "--network my_net")?;
        h1.ctl("leave")?.refused_naming(&[code::FAILED, code::REFUSED], &["--force"])?;
        w.settled(1)?;
        h1.ctl("leave --force")?.ok()?;
        h1.is_outside()?;
        let left = h1
            .sh("ls /run/swarmd/netns; nft list tables; ip -o link show type veth | grep -v eth0@ || true")?
            .ok()?;
        ensure!(left.is_empty(), "left behind: {left}");
        h1.ctl("init")?.ok()?;
        ensure!(
            !h1.ctl("network ls")?.ok()?.contains("my_net"),
            "the new cluster knows the old one's network"
        );
        Ok(())
    });
}
