//! What is detached, released or left by an earlier daemon goes, and what others put there stays.

use crate::net::{World, eventually, must};

#[test]
fn what_is_gone_leaves_nothing() {
    let mut world = World::new(2, 1500);
    let before = must(&world.hosts[0].ns, "ip -br link");
    let (one, two) = (world.network(1, &["10.0.1.0/24"], |_| {}), world.network(2, &["10.0.2.0/24"], |_| {}));
    let a = world.sandbox(0, 1);
    let first = world.attach(0, one, a, &["10.0.1.2/24"]);
    let second = world.attach(0, two, a, &["10.0.2.2/24"]);
    world.apply_all();
    let inside = world.in_sandbox(0, a);
    // One network goes, the other one stays.
    world.hosts[0].sandboxes[0].interfaces.remove(&first);
    world.assigned.endpoints.remove(&first);
    world.apply(0).unwrap();
    let links = must(&inside, "ip -br link");
    assert!(!links.contains("eth0") && links.contains("eth1") && links.contains("gw0"), "{links}");
    assert_eq!(overlays(&world), 1);
    world.hosts[0].sandboxes[0].interfaces.remove(&second);
    world.assigned.endpoints.remove(&second);
    world.apply(0).unwrap();
    assert_eq!(must(&inside, "ip -br link").lines().count(), 1, "only the loopback is left");
    assert_eq!(overlays(&world), 0);
    world.hosts[0].block_on(|r| async move { r.teardown_all().await }).unwrap();
    let after = || must(&world.hosts[0].ns, "ip -br link");
    eventually("the host looks as before", || after().lines().count() == before.lines().count());
    assert_eq!(must(&world.hosts[0].ns, "nft list ruleset"), "");
}

fn overlays(world: &World) -> usize {
    let files = std::fs::read_dir(world.hosts[0].dir.join("netns")).unwrap().flatten();
    files.filter(|f| f.file_name().to_string_lossy().starts_with("ov-")).count()
}

#[test]
fn what_an_earlier_daemon_left_is_removed() {
    let mut world = World::new(1, 1500);
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let a = world.sandbox(0, 1);
    let endpoint = world.attach(0, network, a, &["10.0.1.2/24"]);
    world.apply_all();
    world.hosts[0].restart();
    // While it was away the endpoint was released.
    world.assigned.endpoints.remove(&endpoint);
    world.hosts[0].sandboxes[0].interfaces.clear();
    world.apply(0).unwrap();
    assert_eq!(overlays(&world), 0);
    assert_eq!(must(&world.in_sandbox(0, a), "ip -br link").lines().count(), 1);
}

#[test]
fn routes_of_a_namespace_s_owner_stay() {
    let mut world = World::new(1, 1500);
    let network = world.network(1, &["10.0.1.0/24", "10.0.2.0/24"], |_| {});
    let a = world.sandbox(0, 1);
    let inside = world.in_sandbox(0, a);
    for command in [
        "ip link add own0 up type veth peer name own1",
        "ip link set own1 up",
        "ip address add 10.9.9.50/24 dev own0",
        "ip route add default dev own0",
        "ip route add 10.0.2.0/24 dev own0",
        "ip route add default via 10.9.9.1 dev own0 metric 100",
    ] {
        must(&inside, command);
    }
    let before = must(&inside, "ip route show dev own0");
    let endpoint = world.attach(0, network, a, &["10.0.1.2/24"]);
    world.apply_all();
    assert_eq!(must(&inside, "ip route show dev own0"), before, "after attach");
    assert!(must(&inside, "ip route get 192.0.2.9").contains("dev own0"), "the owner's route is taken");
    assert!(must(&inside, "ip route show dev gw0").contains("default via 172.18.0.1"), "ours stands by");
    // A daemon that looks for the first time finds everything as it should be.
    world.hosts[0].restart();
    world.apply_all();
    let adopted = world.hosts[0].reconciler.counters();
    assert_eq!((adopted.steps, adopted.last_error), (0, None));
    // The owner takes its own away, and gives it back.
    must(&inside, "ip route del default dev own0 metric 100");
    must(&inside, "ip route del default dev own0");
    assert!(must(&inside, "ip route get 192.0.2.9").contains("dev gw0"));
    must(&inside, "ip route replace default dev own0");
    must(&inside, "ip route add default via 10.9.9.1 dev own0 metric 100");
    assert!(must(&inside, "ip route get 192.0.2.9").contains("dev own0"));
    world.hosts[0].sandboxes[0].interfaces.remove(&endpoint);
    world.assigned.endpoints.remove(&endpoint);
    world.apply(0).unwrap();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(&must(&inside, "ip route show dev own0")), lines(&before), "after detach");
    assert!(!must(&inside, "ip -br link").contains("gw0"));
}
