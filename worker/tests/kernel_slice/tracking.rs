//! Packets of the data path are exempt from connection tracking, on whatever port it is; everything else is tracked.

use crate::net::{World, must};
use crate::{two_on_one_network, underlay_v6};
use swarm_netns::NetNs;

/// Counts in chains of its own what was tracked of the packets to a UDP port, after the connections were looked up.
fn watch_tracking(host: &NetNs, port: u16) {
    must(host, "nft add table inet probe");
    for (hook, more) in [("prerouting", ""), ("output", ""), ("forward", "iifname swarm_gwbridge")] {
        must(host, &format!("nft add chain inet probe {hook} {{ type filter hook {hook} priority -20 ; }}"));
        for tracked in ["==", "!="] {
            let rule = format!("{more} udp dport {port} ct state {tracked} untracked counter");
            must(host, &format!("nft add rule inet probe {hook} {rule}"));
        }
    }
}

/// Packets that were not tracked and packets that were, in one of those chains.
fn tracking(host: &NetNs, hook: &str) -> [u64; 2] {
    let shown = must(host, &format!("nft list chain inet probe {hook}"));
    let counted =
        shown.split("packets ").skip(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap());
    counted.collect::<Vec<u64>>().try_into().unwrap()
}

#[test]
fn connections_are_not_tracked_on_the_data_path() {
    for (port, v6) in [(4789, false), (7777, true)] {
        let mut world = World::new(2, 1500);
        world.assigned.defaults.data_path_port = port;
        if v6 {
            underlay_v6(&mut world);
        }
        let (a, _) = two_on_one_network(&mut world);
        let (host, inside) = (&world.hosts[0].ns, world.in_sandbox(0, a));
        watch_tracking(host, port);
        must(&inside, "ping -c 3 -i 0.01 -W 1 10.0.1.3");
        assert_eq!(tracking(host, "prerouting"), [3, 0], "port {port}, arriving");
        assert_eq!(tracking(host, "output"), [3, 0], "port {port}, leaving");
        // What a sandbox itself sends to such a port of somebody else is masqueraded as everything else is.
        must(&inside, &format!("bash -c echo>/dev/udp/192.0.2.2/{port}"));
        assert_eq!(tracking(host, "forward"), [0, 1], "port {port}, out of a sandbox");
    }
}

#[test]
fn the_exemption_follows_the_data_path_port() {
    let mut world = World::new(1, 1500);
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let a = world.sandbox(0, 1);
    world.attach(0, network, a, &["10.0.1.2/24"]);
    for port in [4789, 4790] {
        world.assigned.defaults.data_path_port = port;
        world.apply(0).unwrap();
        let rules = must(&world.hosts[0].ns, "nft list table inet swarmd");
        let exempt: Vec<&str> = rules.lines().filter(|line| line.contains("notrack")).collect();
        assert_eq!(exempt.len(), 2, "{rules}");
        assert!(exempt.iter().all(|line| line.contains(&format!("udp dport {port}"))), "{rules}");
    }
}
