//! What is broken by hand comes back within two seconds, and what is right is left alone.

mod net;

use net::{World, eventually, must, run};
use std::time::{Duration, Instant};
use swarm_model::{NetworkId, SandboxId};

const REPAIR: Duration = Duration::from_secs(2);

struct Pair {
    world: World,
    network: NetworkId,
    a: SandboxId,
}

/// Two hosts, a sandbox on each, on a network of both families.
fn pair() -> Pair {
    let mut world = World::new(2, 1500);
    let network = world.network(1, &["10.0.1.0/24", "fd00:1::/64"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(1, 2));
    world.attach(0, network, a, &["10.0.1.2/24", "fd00:1::2/64"]);
    world.attach(1, network, b, &["10.0.1.3/24", "fd00:1::3/64"]);
    world.apply_all();
    Pair { world, network, a }
}

impl Pair {
    fn reaches(&self) -> bool {
        let a = self.world.in_sandbox(0, self.a);
        ["10.0.1.3", "fd00:1::3", "192.0.2.1"]
            .iter()
            .all(|to| run(&a, &format!("ping -c 1 -W 0.2 {to}")).is_ok())
    }

    fn repairs(&self) -> u64 {
        self.world.hosts[0].reconciler.counters().repairs
    }

    /// Breaks something, and waits until it is noticed, mended and works.
    fn survives(&self, what: &str, damage: impl FnOnce(&Self)) {
        let before = self.repairs();
        damage(self);
        let took = eventually(what, || self.repairs() > before && self.reaches());
        assert!(took < REPAIR, "{what}: mended after {took:?} only");
    }
}

#[test]
fn damage_is_mended() {
    let pair = pair();
    assert!(pair.reaches(), "first packets pass");
    let overlay = || pair.world.hosts[0].overlay(pair.network);
    let host = || pair.world.hosts[0].ns.clone();
    let inside = || pair.world.in_sandbox(0, pair.a);
    let port = must(&overlay(), "ip -br link show type veth");
    let port = port.split('@').next().unwrap();
    let in_overlay = |command: String| move |_: &Pair| drop(must(&overlay(), &command));
    for command in [
        "bridge fdb delete 02:42:0a:00:01:03 dev vxlan0 self".into(),
        "bridge fdb delete 02:42:0a:00:01:03 dev vxlan0 master".into(),
        "bridge fdb replace 02:42:0a:00:01:03 dev vxlan0 self dst 192.0.2.77".into(),
        "ip neigh flush dev br0 nud permanent".into(),
        "ip neigh replace 10.0.1.3 dev br0 lladdr 02:00:00:00:00:99 nud permanent".into(),
        "ip link set vxlan0 down".into(),
        "ip link set vxlan0 nomaster".into(),
        "ip link set br0 down".into(),
        "ip link delete vxlan0".into(),
        "ip link delete br0".into(),
        format!("ip link set {port} nomaster"),
        format!("ip link set {port} down"),
        format!("ip link set {port} mtu 1000"),
        format!("ip link delete {port}"),
        "nft flush ruleset".into(),
        "nft flush set bridge swarmd v4".into(),
        "nft flush chain bridge swarmd source".into(),
        "nft insert rule bridge swarmd source drop".into(),
    ] {
        pair.survives(&command.clone(), in_overlay(command));
    }
    for command in [
        "ip address flush dev eth0",
        "ip address add 10.9.9.9/24 dev eth0",
        "ip link set eth0 down",
        "ip link set eth0 address 02:00:00:00:00:98",
        "ip link set lo down",
        "ip link delete eth0",
        "ip link delete gw0",
        "ip route delete default",
        "ip route delete 10.0.1.0/24",
        "ip -6 route delete fd00:1::/64",
        "ip route flush table main",
        "ip -6 route flush table main",
    ] {
        pair.survives(command, |_| drop(must(&inside(), command)));
    }
    // Up again before anybody looked, and without its routes.
    for interface in ["eth0", "gw0"] {
        pair.survives(&format!("{interface} down and up"), |_| {
            must(&inside(), &format!("ip link set {interface} down"));
            must(&inside(), &format!("ip link set {interface} up"));
        });
    }
    for command in [
        "ip link delete swarm_gwbridge",
        "nft flush ruleset",
        "nft flush chain inet swarmd leaving",
        "nft delete chain inet swarmd arriving",
        "ip address flush dev swarm_gwbridge",
    ] {
        pair.survives(command, |_| drop(must(&host(), command)));
    }
    pair.survives("eth0 renamed", |_| {
        must(&inside(), "ip link set eth0 down");
        must(&inside(), "ip link set eth0 name other0");
    });
}

#[test]
fn what_was_heard_neither_delays_a_new_target_nor_is_forgotten_over_it() {
    let mut pair = pair();
    let b = pair.world.hosts[1].sandboxes[0].id;
    let overlay = pair.world.hosts[0].overlay(pair.network);
    let took = (10..15).map(|number| {
        must(&overlay, &format!("ip link add d{number} type bridge"));
        pair.world.endpoint(1, pair.network, b, &[&format!("10.0.1.{number}/24")]);
        let begun = Instant::now();
        pair.world.apply(0).unwrap();
        begun.elapsed()
    });
    let fastest = took.min().unwrap();
    assert!(fastest < Duration::from_millis(10), "{fastest:?}");
    pair.world.endpoint(1, pair.network, b, &["10.0.1.20/24"]);
    pair.survives("damage right before a new target", |p| {
        must(&overlay, "bridge fdb delete 02:42:0a:00:01:03 dev vxlan0 self");
        p.world.apply(0).unwrap();
    });
}

#[test]
fn a_second_pass_and_a_restart_change_nothing() {
    let mut pair = pair();
    let steps = pair.world.hosts[0].reconciler.counters().steps;
    assert!(steps > 0);
    pair.world.apply(0).unwrap();
    let after = pair.world.hosts[0].reconciler.counters();
    assert_eq!((after.steps, after.repairs), (steps, 0), "nothing of its own doing looks like damage");
    pair.world.hosts[0].restart();
    pair.world.apply(0).unwrap();
    let adopted = pair.world.hosts[0].reconciler.counters();
    assert_eq!((adopted.steps, adopted.last_error), (0, None), "everything was right already");
    assert_eq!(adopted.audits, 2, "the gateway and the network were looked at, once each");
    // And it keeps watch from there.
    pair.survives("after a restart", |p| {
        drop(must(&p.world.hosts[0].overlay(p.network), "ip neigh flush dev br0 nud permanent"));
    });
}

/// Earlier versions left the route to an address's own subnet to the kernel.
#[test]
fn a_sandbox_with_routes_of_the_kernel_s_making_is_taken_over() {
    let mut pair = pair();
    pair.world.hosts[0].block_on(|r| async move { r.shutdown().await });
    let inside = pair.world.in_sandbox(0, pair.a);
    for command in [
        "ip address delete 10.0.1.2/24 dev eth0",
        "ip address add 10.0.1.2/24 broadcast 10.0.1.255 dev eth0",
        "ip address delete fd00:1::2/64 dev eth0",
        "ip address add fd00:1::2/64 dev eth0 nodad",
        "ip -6 route delete fd00:1::/64 proto 83",
    ] {
        must(&inside, command);
    }
    assert!(must(&inside, "ip route show 10.0.1.0/24").contains("proto kernel"));
    assert!(pair.reaches());
    pair.world.hosts[0].restart();
    pair.world.apply(0).unwrap();
    let adopted = pair.world.hosts[0].reconciler.counters();
    assert_eq!((adopted.steps, adopted.last_error), (2, None), "one route of ours for each family");
    assert!(pair.reaches());
    for family in ["-4", "-6"] {
        pair.survives(&format!("{family} routes flushed"), |_| {
            drop(must(&inside, &format!("ip {family} route flush table main")))
        });
    }
}

#[test]
fn the_underlay_mtu_is_followed() {
    let mut pair = pair();
    for (underlay, inner) in [(1400, 1350), (9000, 8950), (1500, 1450)] {
        for host in &mut pair.world.hosts {
            must(&host.ns, &format!("ip link set eth0 mtu {underlay}"));
            host.facts.underlay_mtu = underlay;
        }
        pair.world.apply_all();
        let shown = must(&pair.world.in_sandbox(0, pair.a), "cat /sys/class/net/eth0/mtu");
        let told = must(&pair.world.in_sandbox(0, pair.a), "ip link show eth0");
        assert!(told.contains(&format!("mtu {inner} ")), "{told} (sysfs of another namespace: {shown})");
        if underlay <= 1500 {
            let size = inner - 28;
            must(&pair.world.in_sandbox(0, pair.a), &format!("ping -c 1 -W 1 -M do -s {size} 10.0.1.3"));
        }
    }
}
