//! What cannot be done is said in a sentence, changes nothing, and stands in nobody else's way.

mod net;

use net::{World, eventually, must};
use swarm_netns::NetNs;

#[test]
fn f28_a_foreign_vxlan_with_our_vni_is_named_and_left_alone() {
    let mut world = World::new(1, 1500);
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let a = world.sandbox(0, 1);
    world.attach(0, network, a, &["10.0.1.2/24"]);
    must(&world.hosts[0].ns, "ip link add foreign type vxlan id 4097 dstport 4789 local 192.0.2.1");
    must(&world.hosts[0].ns, "ip link set foreign up");
    let error = world.apply(0).unwrap_err().to_string();
    assert!(error.contains("VNI 4097") && error.contains("4789") && error.contains("--opt vni="), "{error}");
    assert!(must(&world.hosts[0].ns, "ip -br link").contains("foreign"));
    let told = || world.hosts[0].reconciler.counters().last_error;
    assert!(
        told().is_some_and(|told| told.contains("network net1") && told.contains("VNI 4097")),
        "{:?}",
        told()
    );
    // It is tried again by itself.
    must(&world.hosts[0].ns, "ip link delete foreign");
    eventually("the network comes up", || {
        net::run(&world.hosts[0].overlay(network), "ip link show vxlan0").is_ok_and(|s| s.contains("UP"))
    });
    eventually("nothing is wrong any more, and nothing is said to be", || told().is_none());
}

#[test]
fn a_name_taken_in_the_sandbox_is_named_and_others_go_on() {
    let mut world = World::new(1, 1500);
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(0, 2));
    must(&world.in_sandbox(0, a), "ip link add eth0 type bridge");
    world.attach(0, network, a, &["10.0.1.2/24"]);
    world.attach(0, network, b, &["10.0.1.3/24"]);
    let desired = world.desired(0);
    let (of_a, of_b) = world.hosts[0].block_on(|r| async move {
        let (of_a, of_b) = (r.submit(desired.clone()), r.submit(desired));
        (of_a.of(a).await, of_b.of(b).await)
    });
    let error = of_a.unwrap_err().to_string();
    assert!(error.contains("eth0") && error.contains("--ifname"), "{error}");
    of_b.unwrap();
    must(&world.in_sandbox(0, b), "ping -c 1 -W 1 10.0.1.3");
    assert!(
        must(&world.in_sandbox(0, a), "ip -d link show eth0").contains("bridge"),
        "the foreign one is untouched"
    );
}

#[test]
fn a_sandbox_that_is_gone_stands_in_nobodys_way() {
    let mut world = World::new(1, 1500);
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(0, 2));
    world.attach(0, network, a, &["10.0.1.2/24"]);
    swarm_netns::remove(std::path::Path::new(&*world.hosts[0].sandboxes[0].netns)).unwrap();
    let error = world.apply(0).unwrap_err().to_string();
    assert!(error.contains("no network namespace"), "{error}");
    world.attach(0, network, b, &["10.0.1.3/24"]);
    let desired = world.desired(0);
    world.hosts[0].block_on(|r| async move { r.submit(desired).of(b).await }).unwrap();
    must(&world.in_sandbox(0, b), "ping -c 1 -W 1 10.0.1.3");
}

#[test]
fn foreign_things_on_the_host_are_not_touched() {
    let mut world = World::new(1, 1500);
    let host: NetNs = world.hosts[0].ns.clone();
    must(&host, "ip link add gw-other type bridge");
    must(&host, "ip link add other0 up type bridge");
    must(&host, "nft add table inet other");
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let a = world.sandbox(0, 1);
    world.attach(0, network, a, &["10.0.1.2/24"]);
    world.apply_all();
    world.hosts[0].block_on(|r| async move { r.teardown_all().await }).unwrap();
    let links = must(&host, "ip -br link");
    assert!(links.contains("gw-other") && links.contains("other0"), "{links}");
    assert_eq!(must(&host, "nft list tables").trim(), "table inet other");
}
