//! Many at once: table entries by the ten thousand, attaches by the hundred, and what one more costs.

mod net;

use net::{World, eventually, must};
use std::time::Instant;

#[test]
fn ten_thousand_remote_endpoints_come_fast_and_one_more_costs_two_steps() {
    let mut world = World::new(2, 1500);
    let network = world.network(1, &["10.1.0.0/16"], |_| {});
    let (a, far) = (world.sandbox(0, 1), swarm_model::Id::from_random([9; 16]));
    world.attach(0, network, a, &["10.1.0.2/16"]);
    for number in 0..10_000u32 {
        let address = format!("10.1.{}.{}/16", 1 + number / 250, 1 + number % 250);
        world.endpoint(1, network, far, &[&address]);
    }
    let started = Instant::now();
    world.apply(0).unwrap();
    let took = started.elapsed();
    let overlay = world.hosts[0].overlay(network);
    assert_eq!(must(&overlay, "ip neigh show nud permanent").lines().count(), 10_000);
    assert_eq!(must(&overlay, "bridge fdb show dev vxlan0").matches("dst 192.0.2.2").count(), 10_000);
    eprintln!("10,000 remote endpoints: {took:?}");
    assert!(took.as_secs() < 5, "{took:?}");
    let counters = || world.hosts[0].reconciler.counters();
    // So many notifications may be too many to hear; but they are of what was done here.
    let looked = counters().audits;
    let (mut last, mut since) = (counters(), Instant::now());
    eventually("it is quiet", || {
        let now = counters();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed().as_secs() >= 3
    });
    let before = counters();
    assert_eq!((before.repairs, before.audits), (0, looked));
    world.endpoint(1, network, far, &["10.1.200.1/16"]);
    world.apply(0).unwrap();
    let after = world.hosts[0].reconciler.counters();
    assert_eq!((after.steps - before.steps, after.audits - before.audits), (2, 0), "two messages, no dump");
}

#[test]
fn a_hundred_concurrent_attaches_all_succeed() {
    let mut world = World::new(1, 1500);
    let network = world.network(1, &["10.1.0.0/16"], |_| {});
    // One after the other into the worker's memory, each submitted at once; nobody waits before the last has
    // come.
    let mut waiting = Vec::new();
    let started = Instant::now();
    for number in 0..100u32 {
        let sandbox = world.sandbox(0, number);
        world.attach(0, network, sandbox, &[&format!("10.1.1.{}/16", number + 2)]);
        let desired = world.desired(0);
        waiting.push((sandbox, world.hosts[0].block_on(|r| async move { r.submit(desired) })));
    }
    for (sandbox, submitted) in waiting {
        world.hosts[0].block_on(|_| async move { submitted.of(sandbox).await }).unwrap();
    }
    eprintln!("100 attaches: {:?}", started.elapsed());
    let first = world.hosts[0].sandboxes[0].id;
    let inside = world.in_sandbox(0, first);
    must(&inside, "ping -c 1 -W 1 10.1.1.101");
    let addresses = world.hosts[0].sandboxes.iter().map(|s| s.id).collect::<Vec<_>>();
    let shown: std::collections::BTreeSet<String> =
        addresses.iter().map(|id| must(&world.in_sandbox(0, *id), "ip -4 -br address show gw0")).collect();
    assert_eq!(shown.len(), 100, "no gateway address twice");
    // The hundred and first, with everything warm.
    let last = world.sandbox(0, 500);
    world.attach(0, network, last, &["10.1.2.1/16"]);
    let desired = world.desired(0);
    let started = Instant::now();
    world.hosts[0].block_on(|r| async move { r.submit(desired).of(last).await }).unwrap();
    eprintln!("one warm attach: {:?}", started.elapsed());
}
