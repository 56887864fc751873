//! Sandboxes on two hosts reach each other at the first packet, may not pretend to be somebody else, and
//! leave nothing behind.

mod frames;
mod leftovers;
#[path = "../net/mod.rs"]
mod net;
mod spoofing;
mod tracking;

use net::{World, eventually, must, run};
use swarm_model::SandboxId;

/// A sandbox on each of two hosts, 10.0.1.2 and 10.0.1.3, and both kernels as they should be.
fn two_on_one_network(world: &mut World) -> (SandboxId, SandboxId) {
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(1, 2));
    world.attach(0, network, a, &["10.0.1.2/24"]);
    world.attach(1, network, b, &["10.0.1.3/24"]);
    world.apply_all();
    (a, b)
}

#[test]
fn the_first_packet_crosses() {
    let mut world = World::new(2, 1500);
    let (a, b) = two_on_one_network(&mut world);
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 10.0.1.3");
    must(&world.in_sandbox(1, b), "ping -c 1 -W 1 10.0.1.2");
    // Full-sized packets too, and not one byte more.
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 -M do -s 1422 10.0.1.3");
    assert!(run(&world.in_sandbox(0, a), "ping -c 1 -W 1 -M do -s 1423 10.0.1.3").is_err());
    // The way out.
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 192.0.2.1");
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 192.0.2.2");
    assert_eq!(world.hosts[0].reconciler.counters().repairs, 0);
}

#[test]
fn two_subnets_two_families_two_networks() {
    let mut world = World::new(2, 1500);
    let wide = world.network(1, &["10.0.1.0/24", "10.0.2.0/24", "fd00:1::/64"], |_| {});
    let other = world.network(2, &["10.0.3.0/24"], |spec| spec.internal = true);
    let (a, b, c) = (world.sandbox(0, 1), world.sandbox(1, 2), world.sandbox(1, 3));
    world.attach(0, wide, a, &["10.0.1.2/24", "fd00:1::2/64"]);
    world.attach(1, wide, b, &["10.0.2.2/24", "fd00:1::3/64"]);
    world.attach(0, other, a, &["10.0.3.2/24"]);
    world.attach(1, other, c, &["10.0.3.3/24"]);
    world.apply_all();
    let (a, b, c) = (world.in_sandbox(0, a), world.in_sandbox(1, b), world.in_sandbox(1, c));
    must(&a, "ping -c 1 -W 1 10.0.2.2");
    must(&a, "ping -c 1 -W 1 fd00:1::3");
    must(&b, "ping -c 1 -W 1 10.0.1.2");
    must(&a, "ping -c 1 -W 1 10.0.3.3");
    assert!(run(&b, "ping -c 1 -W 0.3 10.0.3.3").is_err(), "networks do not see each other");
    assert!(run(&c, "ping -c 1 -W 0.3 10.0.2.2").is_err());
    assert!(run(&c, "ip route get 192.0.2.1").is_err(), "an internal network has no way out");
    assert!(must(&a, "ip -br link").contains("eth1"), "the second network is the second interface");
}

fn underlay_v6(world: &mut World) {
    for number in 0..world.hosts.len() {
        let host = &mut world.hosts[number];
        must(&host.ns, &format!("ip address add fd00:ff::{}/64 dev eth0 nodad", number + 1));
        host.facts.data_path_addr = format!("fd00:ff::{}", number + 1).parse().unwrap();
        world.assigned.peers.get_mut(&host.node).unwrap().data_path_addr = host.facts.data_path_addr;
    }
}

#[test]
fn an_ipv6_underlay_and_another_port_work_too() {
    let mut world = World::new(2, 1500);
    world.assigned.defaults.data_path_port = 7777;
    underlay_v6(&mut world);
    let (a, _) = two_on_one_network(&mut world);
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 -M do -s 1402 10.0.1.3");
    assert!(
        run(&world.in_sandbox(0, a), "ping -c 1 -W 1 -M do -s 1403 10.0.1.3").is_err(),
        "70 bytes are added"
    );
    assert!(must(&world.hosts[0].ns, "ss -ulnH").contains(":7777"), "the socket is the host's");
    world.apply_all();
    assert_eq!(world.hosts[0].reconciler.counters().repairs, 0);
}

#[test]
fn a_lost_question_for_a_neighbour_is_asked_again_soon() {
    let mut world = World::new(2, 1500);
    let network = world.network(1, &["10.0.1.0/24", "fd00:1::/64"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(1, 2));
    world.attach(0, network, a, &["10.0.1.2/24", "fd00:1::2/64"]);
    world.apply_all();
    let inside = world.in_sandbox(0, a);
    for interface in ["eth0", "gw0"] {
        let told = must(&inside, &format!("ip ntable show dev {interface}"));
        assert_eq!(told.matches("retrans 100 ").count(), 2, "both families of {interface}: {told}");
    }
    // The other side comes while this one asks; nobody sends a packet again.
    for address in ["10.0.1.3", "fd00:1::3"] {
        world.hosts[1].sandboxes.iter_mut().for_each(|s| s.interfaces.clear());
        world.assigned.endpoints.retain(|_, e| e.sandbox != b);
        world.apply_all();
        let asking = std::thread::spawn({
            let inside = inside.clone();
            move || run(&inside, &format!("ping -c 1 -W 3 {address}"))
        });
        eventually("it asks", || must(&inside, "ip neigh show dev eth0").contains(&format!("{address} ")));
        world.attach(1, network, b, &["10.0.1.3/24", "fd00:1::3/64"]);
        // It is there before this side hears of it.
        [1, 0].into_iter().for_each(|host| world.apply(host).unwrap());
        let there = std::time::Instant::now();
        asking.join().unwrap().unwrap();
        let took = there.elapsed();
        assert!(took.as_millis() < 700, "{address}: an answer {took:?} after there was one");
    }
}
