//! Sandboxes on two hosts reach each other, and nothing more than they should.

mod net;

use net::{World, must, run};

#[test]
fn the_first_packet_crosses() {
    let mut world = World::new(2, 1500);
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(1, 2));
    world.attach(0, network, a, &["10.0.1.2/24"]);
    world.attach(1, network, b, &["10.0.1.3/24"]);
    world.apply_all();
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 10.0.1.3");
    must(&world.in_sandbox(1, b), "ping -c 1 -W 1 10.0.1.2");
    // Full-sized packets too, and not one byte more.
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 -M do -s 1422 10.0.1.3");
    assert!(run(&world.in_sandbox(0, a), "ping -c 1 -W 1 -M do -s 1423 10.0.1.3").is_err());
    // The way out.
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 192.0.2.1");
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 192.0.2.2");
}
