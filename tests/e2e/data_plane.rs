//! Traffic between hosts: S79, B2, B11, B14.

use anyhow::{Context, Result, ensure};
use std::process::Stdio;
use std::time::Duration;
use swarm_tests::capture::Counter;
use swarm_tests::sandbox::all_ping;
use swarm_tests::traffic::{tcp_transfer, udp_echo};
use swarm_tests::{Host, Sandbox, Setup, eventually, run, scenario, view};

#[test]
fn s79_ping_by_address_and_by_name_both_ways() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(1).run("a", "--network my_net")?, w.host(2).run("b", "--network my_net")?);
        all_ping(&[&a, &b])?;
        for (from, to) in [(&a, &b), (&b, &a)] {
            eventually("pings by name", || from.pings_name(&to.name))?;
            udp_echo(&from.net(), &to.net(), to.ip()?)?;
            tcp_transfer(&from.net(), &to.net(), to.ip()?, 1 << 20)?;
        }
        let c = w.host(2).attach("c", "--network my_net")?;
        all_ping(&[&a, &b, &c])
    });
}

#[test]
fn b2_the_data_path_address_is_the_outer_source() {
    scenario(Setup::hosts(2), |w| {
        for host in w.hosts() {
            host.sh(&format!("ip addr add 10.88.0.10{}/24 dev eth0", host.number))?.ok()?;
            host.start()?;
        }
        w.host(1).ctl("init --advertise-addr 10.88.0.1 --data-path-addr 10.88.0.101")?.ok()?;
        let token = w.host(1).token("worker")?;
        let flags = "--advertise-addr 10.88.0.2 --data-path-addr 10.88.0.102";
        w.host(2).ctl(&format!("join --token {token} {flags} 10.88.0.1:2377"))?.ok()?;
        w.settled(2)?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(1).run("a", "--network my_net")?, w.host(2).run("b", "--network my_net")?);
        let wire = w.wire.net();
        let there = Counter::on_bridge(&wire, "ip saddr 10.88.0.101 ip daddr 10.88.0.102 udp dport 4789")?;
        let back = Counter::on_bridge(&wire, "ip saddr 10.88.0.102 ip daddr 10.88.0.101 udp dport 4789")?;
        let other = Counter::on_bridge(&wire, "ip saddr { 10.88.0.1, 10.88.0.2 } udp dport 4789")?;
        all_ping(&[&a, &b])?;
        ensure!(there.packets()? > 0 && back.packets()? > 0, "nothing from the data-path addresses");
        ensure!(other.packets()? == 0, "some from another address");
        Ok(())
    });
}

/// What `ping` lost, in packets.
fn lost(report: &str) -> Result<u32> {
    let line =
        report.lines().find(|l| l.contains("packets transmitted")).with_context(|| report.to_owned())?;
    let number = |word: &str| {
        let before = line.split(word).next()?.rsplit(',').next()?.split_whitespace().next()?;
        before.parse::<u32>().ok()
    };
    let sent = number("packets transmitted").with_context(|| line.to_owned())?;
    Ok(sent - number("received").with_context(|| line.to_owned())?)
}

/// Traffic from one sandbox to another for six seconds, while `meanwhile` happens.
fn under_traffic(from: &Sandbox<'_>, to: &Sandbox<'_>, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    let address = to.ip()?;
    std::thread::scope(|scope| {
        let server = scope.spawn(|| to.sh("timeout 20 iperf3 -s -1 >/dev/null"));
        eventually("iperf3 listens", || to.sh("ss -Hltn 'sport = 5201' | grep -q .")?.ok())?;
        let client = scope.spawn(move || from.sh(&format!("iperf3 -J -c {address} -t 6 -b 20M")));
        let pings = scope.spawn(move || from.sh(&format!("ping -n -q -i 0.02 -w 6 {address}")));
        meanwhile()?;
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<run::Output>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let pinged = join(pings)?.ok()?;
        let sent = view::object(&join(client)?.ok()?)?;
        join(server)?.ok()?;
        ensure!(view::find(&sent, "error").is_none(), "the TCP stream broke: {sent}");
        ensure!(lost(&pinged)? <= 1, "packets were lost: {pinged}");
        Ok(())
    })
}

/// Kills a daemon without asking and starts it again.
fn crash(host: &Host) -> Result<()> {
    host.kill()?;
    host.start()
}

#[test]
fn b11_f33_a_killed_daemon_costs_no_packet() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(1).run("a", "--network my_net")?, w.host(2).attach("b", "--network my_net")?);
        all_ping(&[&a, &b])?;
        let (ip_a, ip_b, mac) = (a.ip()?, b.ip()?, a.mac()?);
        under_traffic(&a, &b, || {
            crash(w.host(1))?;
            crash(w.host(2))?;
            w.host(1).restart()
        })?;
        ensure!(a.ip()? == ip_a && b.ip()? == ip_b && a.mac()? == mac, "addresses changed");
        w.settled(2)?;
        eventually("names are answered again", || {
            ensure!(b.resolves("a")? == [ip_a.to_string()]);
            Ok(())
        })?;
        let repairs = view::number(&w.host(2).info()?, "repairs");
        ensure!(repairs.unwrap_or(0) == 0, "adoption should find nothing to repair: {repairs:?}");
        b.remove()?;
        a.remove()?;
        w.host(1).ctl("network rm my_net")?.ok().map(drop)
    });
}

#[test]
fn b14_a_network_with_both_families() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable --ipv6 six")?.ok()?;
        w.host(1)
            .ctl("network create --attachable --ipv6 --subnet 10.90.0.0/24 --subnet fd00:90::/64 chosen")?
            .ok()?;
        let (a, b) = (w.host(1).run("a", "--network six")?, w.host(2).run("b", "--network six")?);
        all_ping(&[&a, &b])?;
        for (from, to) in [(&a, &b), (&b, &a)] {
            let six = to.ip6()?;
            eventually("ping6", || from.sh(&format!("ping -6 -n -c 1 -W 1 {six}"))?.ok())?;
            ensure!(from.dig(&format!("-t AAAA -q {}", to.name))?.answers == [six.to_string()]);
            ensure!(from.resolves(&to.name)? == [to.ip()?.to_string()]);
            let back = from.dig(&format!("-x {six}"))?.answers;
            ensure!(back.len() == 1 && back[0].starts_with(&format!("{}.", to.name)), "{back:?}");
            tcp_transfer(&from.net(), &to.net(), six, 1 << 16)?;
        }
        let c = w.host(1).run("c", "--network chosen")?;
        ensure!(c.ip6()?.to_string().starts_with("fd00:90::"), "{}", c.ip6()?);
        let without = w.host(1).ctl("network create --subnet fd00:91::/64 bad")?;
        without.refused_naming(&crate::code::BAD_INPUT, &["--ipv6"]).map(drop)
    });
}

#[test]
fn traffic_goes_on_while_every_daemon_is_down() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(1).run("a", "--network my_net")?, w.host(2).run("b", "--network my_net")?);
        all_ping(&[&a, &b])?;
        w.host(1).stop()?;
        ensure!(b.resolves("a")? == [a.ip()?.to_string()], "names resolve as long as their own daemon runs");
        w.host(2).kill()?;
        for box_ in [&a, &b] {
            box_.sh("ip neigh flush all")?.ok()?;
        }
        all_ping(&[&a, &b])?;
        w.hosts().iter().try_for_each(Host::start)?;
        w.settled(2)?;
        let c = w.host(2).run("c", "--network my_net")?;
        all_ping(&[&a, &b, &c])
    });
}

#[test]
fn f34_a_host_that_was_switched_off_comes_back_to_its_networks() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(1).run("a", "--network my_net")?, w.host(2).run("b", "--network my_net")?);
        all_ping(&[&a, &b])?;
        let child = w.host(2).ctl_command(&["info"])?.stdout(Stdio::null()).status()?;
        ensure!(child.success());
        // What a reboot leaves: the state folder. Sandboxes, namespaces and run-time files are gone.
        w.host(2).kill()?;
        w.host(2)
            .sh(
                "kill -9 $(pgrep -x sleep); umount /run/swarmd/netns/* 2>/dev/null; rm -rf /run/swarmd; true",
            )?
            .ok()?;
        w.host(2).start()?;
        w.settled(2)?;
        let (_, took) = swarm_tests::within(Duration::from_secs(10), "no ghost is left", || {
            ensure!(w.host(2).ctl("ps -q")?.ok()?.is_empty());
            ensure!(a.resolves("b")?.is_empty());
            Ok(())
        })?;
        let c = w.host(2).run("c", "--network my_net").with_context(|| format!("after {took:?}"))?;
        all_ping(&[&a, &c])
    });
}
