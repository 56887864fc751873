//! B13: a sandbox may send only from its own addresses.

use anyhow::{Result, ensure};
use swarm_tests::capture::{Counter, nft};
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Setup, scenario};

#[test]
fn b13_forged_frames_are_dropped_at_the_port() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (bad, victim) = (h1.run("bad", "--network my_net")?, h1.run("victim", "--network my_net")?);
        let far = h2.run("far", "--network my_net")?;
        all_ping(&[&bad, &victim, &far])?;
        let (own, other) = (bad.ip()?, victim.ip()?);
        let honest = Counter::at_input(&far.net(), &format!("ip saddr {own} icmp type echo-request"))?;
        let forged = Counter::at_input(&far.net(), &format!("ip saddr {other} icmp type echo-request"))?;
        let near =
            Counter::at_input(&victim.net(), &format!("ip saddr {} icmp type echo-request", far.ip()?))?;
        bad.pings(&far.ip()?.to_string())?;
        ensure!(honest.packets()? == 1, "the counter does not see honest frames");

        let rewrite = |what: &str| -> Result<()> {
            let rules = format!(
                "add table netdev forge; add chain netdev forge out {{ type filter hook egress device eth0 priority 0; }}; \
                 flush chain netdev forge out; add rule netdev forge out meta protocol ip {what} counter"
            );
            nft(&bad.net(), &rules).map(drop)
        };
        let send = |to: &str| bad.sh(&format!("ping -n -c 3 -i 0.2 -W 1 {to}"));
        let far_ip = far.ip()?.to_string();
        rewrite(&format!("ip saddr set {other}"))?;
        send(&far_ip)?.fails()?;
        rewrite(&format!("ether saddr set {}", victim.mac()?))?;
        send(&far_ip)?.fails()?;
        rewrite("ether saddr set 02:12:34:56:78:9a")?;
        send(&far_ip)?.fails()?;
        rewrite(&format!("ip saddr set {}", far.ip()?))?;
        send(&other.to_string())?.fails()?;
        let left = nft(&bad.net(), "list table netdev forge")?;
        ensure!(!left.contains("packets 0"), "no forged frame was sent: {left}");
        nft(&bad.net(), "delete table netdev forge")?;
        ensure!(forged.packets()? == 0, "frames with the victim's address got through");
        ensure!(honest.packets()? == 1, "frames with the victim's MAC got through");
        ensure!(near.packets()? == 0, "forged frames got through to a neighbour on the same host");
        all_ping(&[&bad, &victim, &far])
    });
}

#[test]
fn b13_nobody_announces_anothers_address() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (bad, victim) = (h1.run("bad", "--network my_net")?, h1.run("victim", "--network my_net")?);
        let far = h2.run("far", "--network my_net")?;
        all_ping(&[&bad, &victim, &far])?;
        let address = victim.ip()?;
        bad.sh(&format!("busybox arping -c 2 -w 1 -U -I eth0 -s {address} {address}; true"))?.ok()?;
        let known = far.sh(&format!("ip neigh show {address} dev eth0"))?.ok()?;
        ensure!(known.contains(&victim.mac()?), "the far one believes {known:?}");
        all_ping(&[&victim, &far])
    });
}
