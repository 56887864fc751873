//! B7: what is deleted by hand comes back within two seconds, is counted and logged.

use anyhow::{Context, Result, ensure};
use std::time::Duration;
use swarm_tests::sandbox::all_ping;
use swarm_tests::world::OUTSIDE;
use swarm_tests::{Host, Sandbox, Setup, eventually, scenario, view, within};

const LIMIT: Duration = Duration::from_secs(2);

/// A shell script inside the overlay namespace of the one network this host is on; `$vx` and `$br` are its devices.
fn in_overlay(host: &Host, script: &str) -> Result<String> {
    let find = "for n in /run/swarmd/netns/*; do nsenter --net=$n ip -o link show type vxlan | grep -q . && echo $n; done; true";
    let net = host.sh(find)?.ok()?;
    let net = net.lines().next().context("no overlay namespace")?;
    let prologue = "vx=$(ip -o link show type vxlan | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/'); \
                    br=$(ip -o link show type bridge | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/')";
    let quoted = format!("{prologue}; {script}").replace('\'', r"'\''");
    host.sh(&format!("nsenter --net={net} sh -c '{quoted}'"))?.ok()
}

fn repairs(host: &Host) -> Result<i64> {
    view::number(&host.info()?, "repairs").context("`info` shows no count of repairs")
}

struct Scene<'w> {
    host: &'w Host,
    a: Sandbox<'w>,
    b: Sandbox<'w>,
}

impl Scene<'_> {
    /// Does the damage, and expects `whole` to hold again in time, and the repair to be counted.
    fn mends(
        &self,
        what: &str,
        damage: impl Fn() -> Result<()>,
        whole: impl Fn() -> Result<()>,
    ) -> Result<()> {
        whole().with_context(|| format!("before: {what}"))?;
        let (before, logged) = (repairs(self.host)?, self.host.log().len());
        damage().with_context(|| format!("damaging: {what}"))?;
        for one in [&self.a, &self.b] {
            one.sh("ip neigh flush all")?.ok()?;
        }
        within(LIMIT, what, &whole)?;
        eventually(&format!("{what}: counted"), || {
            ensure!(repairs(self.host)? > before, "{} repairs as before", before);
            Ok(())
        })?;
        let log = self.host.log().get(logged..).unwrap_or_default().to_lowercase();
        ensure!(log.contains("repair"), "{what}: no log line says so: {log}");
        Ok(())
    }

    fn reaches(&self) -> Result<()> {
        self.a.pings(&self.b.ip()?.to_string())
    }
}

/// The rules of a network namespace without their counters, sorted.
fn rules(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .split(['\n', ','])
        .map(|l| {
            l.split(" packets ").next().unwrap_or_default().trim_matches([' ', '\t', '{', '}']).to_owned()
        })
        .filter(|l| !l.is_empty())
        .collect();
    lines.sort();
    lines
}

fn stage(play: impl Fn(&Scene<'_>) -> Result<()>) {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(1).run("a", "--network my_net")?, w.host(2).run("b", "--network my_net")?);
        all_ping(&[&a, &b])?;
        play(&Scene { host: w.host(1), a, b })
    });
}

#[test]
fn b7_forwarding_and_neighbour_entries_come_back() {
    stage(|scene| {
        let (ip, mac) = (scene.b.ip()?, scene.b.mac()?);
        let by_hand = |script: String| move || in_overlay(scene.host, &script).map(drop);
        let has =
            |script: String| move || in_overlay(scene.host, &script).map(drop).and_then(|()| scene.reaches());
        scene.mends(
            "forwarding entry of the vxlan",
            by_hand(format!("bridge fdb del {mac} dev $vx dst 10.88.0.2 self")),
            has(format!("bridge fdb show dev $vx | grep -i {mac} | grep 'dst 10.88.0.2'")),
        )?;
        scene.mends(
            "forwarding entry of the bridge",
            by_hand(format!("bridge fdb del {mac} dev $vx master")),
            has(format!("bridge fdb show dev $vx | grep -i {mac} | grep master")),
        )?;
        scene.mends(
            "a wrong destination",
            by_hand(format!("bridge fdb replace {mac} dev $vx dst 10.88.0.77 self")),
            has(format!("bridge fdb show dev $vx | grep -i {mac} | grep 'dst 10.88.0.2'")),
        )?;
        scene.mends(
            "neighbour entry",
            by_hand(format!("ip neigh del {ip} dev $br")),
            has(format!("ip neigh show {ip} dev $br | grep -i {mac}")),
        )
    });
}

#[test]
fn b7_ports_addresses_and_devices_come_back() {
    stage(|scene| {
        let overlay = |script: &'static str| move || in_overlay(scene.host, script).map(drop);
        let reaches = || scene.reaches();
        let port = "ip -o link show type veth | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/' | head -n 1";
        scene.mends(
            "the port is off the bridge",
            || in_overlay(scene.host, &format!("ip link set $({port}) nomaster")).map(drop),
            reaches,
        )?;
        scene.mends(
            "the port is down",
            || in_overlay(scene.host, &format!("ip link set $({port}) down")).map(drop),
            reaches,
        )?;
        scene.mends("the vxlan is down", overlay("ip link set $vx down"), reaches)?;
        scene.mends("the vxlan is gone", overlay("ip link del $vx"), reaches)?;
        scene.mends("the bridge is down", overlay("ip link set $br down"), reaches)?;
        scene.mends(
            "the address is gone",
            || scene.a.sh("ip addr flush dev eth0")?.ok().map(drop),
            reaches,
        )?;
        scene.mends("eth0 is down", || scene.a.sh("ip link set eth0 down")?.ok().map(drop), reaches)?;
        scene.mends("eth0 is gone", || scene.a.sh("ip link del eth0")?.ok().map(drop), reaches)?;
        scene.mends(
            "the way out is gone",
            || scene.a.sh("ip route del default")?.ok().map(drop),
            || scene.a.pings(OUTSIDE),
        )
    });
}

#[test]
fn b7_nft_rules_come_back() {
    stage(|scene| {
        let overlay_rules = || Ok::<_, anyhow::Error>(rules(&in_overlay(scene.host, "nft list ruleset")?));
        let host_rules = || Ok::<_, anyhow::Error>(rules(&scene.host.sh("nft list ruleset")?.ok()?));
        let (overlay, host) = (overlay_rules()?, host_rules()?);
        ensure!(!overlay.is_empty() && !host.is_empty(), "no rules to damage");
        let back = || {
            ensure!(overlay_rules()? == overlay, "{:?} instead of {overlay:?}", overlay_rules()?);
            ensure!(host_rules()? == host, "{:?} instead of {host:?}", host_rules()?);
            scene.reaches()?;
            scene.a.pings(OUTSIDE)
        };
        scene.mends(
            "all rules of the network",
            || in_overlay(scene.host, "nft flush ruleset").map(drop),
            back,
        )?;
        scene.mends("all rules of the host", || scene.host.sh("nft flush ruleset")?.ok().map(drop), back)?;
        let flush_sets = "nft list sets | awk '/^table/{t=$2\" \"$3} /set /{print t\" \"$2}' | \
                          while read f t s; do nft flush set $f $t $s; done";
        scene.mends("the permitted addresses", || in_overlay(scene.host, flush_sets).map(drop), back)
    });
}
