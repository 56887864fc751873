//! B3: the MTU follows from the underlay.

use anyhow::{Result, ensure};
use std::time::Duration;
use swarm_tests::traffic::tcp_transfer;
use swarm_tests::{Sandbox, Setup, World, eventually, scenario, within};

/// IPv4 and ICMP headers.
const PING_HEADERS: u32 = 28;

fn carries(from: &Sandbox<'_>, to: &Sandbox<'_>, mtu: u32) -> Result<()> {
    let address = to.ip()?;
    let ping = |size: u32| from.sh(&format!("ping -n -M do -c 1 -W 1 -s {size} {address}"));
    ping(mtu - PING_HEADERS)?.ok()?;
    ping(mtu - PING_HEADERS + 1)?.fails()?;
    tcp_transfer(&from.net(), &to.net(), address, 1 << 16)
}

fn with_underlay(underlay: u32, more: impl Fn(&World, &Sandbox<'_>, &Sandbox<'_>) -> Result<()>) {
    scenario(Setup::hosts(2).mtu(underlay), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(1).run("a", "--network my_net")?, w.host(2).run("b", "--network my_net")?);
        for one in [&a, &b] {
            ensure!(one.mtu("eth0")? == underlay - 50, "{} over {underlay}", one.mtu("eth0")?);
        }
        eventually("they reach each other", || a.pings(&b.ip()?.to_string()))?;
        carries(&a, &b, underlay - 50)?;
        carries(&b, &a, underlay - 50)?;
        more(w, &a, &b)
    });
}

#[test]
fn b3_mtu_over_1280() {
    with_underlay(1280, |_, _, _| Ok(()));
}

#[test]
fn b3_mtu_over_1450() {
    with_underlay(1450, |_, _, _| Ok(()));
}

#[test]
fn b3_mtu_over_9000() {
    with_underlay(9000, |_, _, _| Ok(()));
}

#[test]
fn b3_mtu_over_1500_follows_a_change() {
    with_underlay(1500, |w, a, b| {
        for host in w.hosts() {
            host.sh("ip link set eth0 mtu 1400")?.ok()?;
        }
        for one in [a, b] {
            within(Duration::from_secs(5), "eth0 follows the underlay", || {
                ensure!(one.mtu("eth0")? == 1350, "{}", one.mtu("eth0")?);
                Ok(())
            })?;
        }
        carries(a, b, 1350)
    });
}
