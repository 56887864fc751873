//! The harness itself, without any daemon.

use anyhow::ensure;
use swarm_tests::capture::Counter;
use swarm_tests::world::OUTSIDE;
use swarm_tests::{Setup, scenario};

#[test]
fn hosts_reach_each_other_and_nobody_else() {
    scenario(Setup::hosts(2).mtu(9000).ipv6(), |w| {
        let seen = Counter::on_bridge(&w.wire.net(), "ip saddr 10.88.0.1 icmp type echo-request")?;
        for target in ["10.88.0.2", OUTSIDE] {
            w.host(1).sh(&format!("ping -n -c 1 -W 2 -s 8000 {target}"))?.ok()?;
        }
        w.host(1).sh("ping -n -c 1 -W 2 fd88::2")?.ok()?;
        ensure!(seen.packets()? == 1, "only what goes to the other host is forwarded");
        ensure!(w.host(2).sh("hostname; ls /sys/class/net")?.ok()? == "h2\neth0\nlo");
        let net = w.host(1).bare("x")?;
        ensure!(w.host(1).space.path(&net).exists() && !std::path::Path::new(&net).exists());
        Ok(())
    });
}

#[test]
fn a_world_takes_its_processes_along() {
    scenario(Setup::hosts(1), |w| {
        w.host(1).sh("setsid sleep 1000 </dev/null >/dev/null 2>&1 &")?.ok()?;
        w.host(1).sh("pgrep -f 'sleep 1000'")?.ok().map(drop)
    });
}
