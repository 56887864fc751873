//! Two sandboxes on one host: neither sends as somebody else, and they do not meet where they have no network.

use crate::frames;
use crate::net::{self, World, must, run};
use swarm_netns::NetNs;

/// One host with two sandboxes on one network, and the second's namespace for listening.
fn neighbours(world: &mut World) -> (NetNs, NetNs) {
    let network = world.network(1, &["10.0.1.0/24", "fd00:1::/64"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(0, 2));
    world.attach(0, network, a, &["10.0.1.2/24", "fd00:1::2/64"]);
    world.attach(0, network, b, &["10.0.1.3/24", "fd00:1::3/64"]);
    world.apply_all();
    (world.in_sandbox(0, a), world.in_sandbox(0, b))
}

#[test]
fn nobody_sends_as_somebody_else() {
    let mut world = World::new(1, 1500);
    let (a, b) = neighbours(&mut world);
    must(&a, "ping -c 1 -W 1 10.0.1.3");
    must(&a, "ping -c 1 -W 1 fd00:1::3");
    let frames = [
        // What it is, whether it arrives: destination, source, EtherType, payload.
        ("own IP", true, "0242 0a00 0102", "0800", ip4([10, 0, 1, 2])),
        ("a foreign IP", false, "0242 0a00 0102", "0800", ip4([10, 0, 1, 9])),
        ("a foreign MAC", false, "0242 0a00 0109", "0800", ip4([10, 0, 1, 2])),
        ("own ARP", true, "0242 0a00 0102", "0806", arp("02420a000102", [10, 0, 1, 2])),
        ("ARP for a foreign IP", false, "0242 0a00 0102", "0806", arp("02420a000102", [10, 0, 1, 9])),
        (
            "ARP with a foreign MAC inside",
            false,
            "0242 0a00 0102",
            "0806",
            arp("02420a000109", [10, 0, 1, 2]),
        ),
        ("another EtherType", false, "0242 0a00 0102", "88b5", "00".repeat(46)),
        ("a VLAN tag", false, "0242 0a00 0102", "8100", format!("00010800{}", ip4([10, 0, 1, 2]))),
        ("own neighbour advertisement", true, "0242 0a00 0102", "86dd", advertisement(2)),
        ("a foreign neighbour advertisement", false, "0242 0a00 0102", "86dd", advertisement(9)),
        ("a router advertisement", false, "0242 0a00 0102", "86dd", icmp6(134, &"00".repeat(12))),
    ];
    let (receiver, seen) = std::sync::mpsc::channel();
    let listener = std::thread::spawn({
        let b = b.clone();
        move || b.run(|| frames::listen(&receiver)).unwrap()
    });
    seen.recv_timeout(net::DEADLINE).unwrap();
    for (number, (_, _, source, kind, payload)) in frames.iter().enumerate() {
        let frame = format!("02420a000103{source}{kind}{payload}{}", frames::mark(number));
        a.run(|| frames::send(&frame)).unwrap();
    }
    // The last frame ends the listening; it is one that passes.
    let end = format!("02420a00010302420a0001020800{}{}", ip4([10, 0, 1, 2]), frames::mark(frames::END));
    a.run(|| frames::send(&end)).unwrap();
    let arrived = listener.join().unwrap();
    for (number, (what, passes, ..)) in frames.iter().enumerate() {
        assert_eq!(arrived.contains(&number), *passes, "{what}");
    }
}

fn hex(bytes: [u8; 4]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn ip4(source: [u8; 4]) -> String {
    format!("45000014000000004011 0000{}{}", hex(source), hex([10, 0, 1, 3]))
}

fn arp(mac: &str, source: [u8; 4]) -> String {
    format!("0001080006040002{mac}{}02420a000103{}", hex(source), hex([10, 0, 1, 3]))
}

/// From fd00:1::2, for the address fd00:1::`target`.
fn advertisement(target: u8) -> String {
    icmp6(136, &format!("60000000fd0000010000000000000000000000{target:02x}"))
}

fn icmp6(kind: u8, body: &str) -> String {
    let length = 4 + body.len() / 2 + frames::mark(0).len() / 2;
    let (from, to) = ("fd000001000000000000000000000002", "fd000001000000000000000000000003");
    format!("60000000{length:04x}3aff{from}{to}{kind:02x}000000{body}")
}

#[test]
fn sandboxes_do_not_meet_on_the_gateway() {
    let mut world = World::new(1, 1500);
    let (a, b) = neighbours(&mut world);
    let address = must(&b, "ip -4 -br address show gw0");
    let address = address.split_whitespace().nth(2).and_then(|a| a.split('/').next()).unwrap().to_owned();
    assert!(run(&a, &format!("ping -c 1 -W 0.3 -I gw0 {address}")).is_err());
    must(&a, "ping -c 1 -W 1 172.18.0.1");
    // Nor from outside into a sandbox.
    must(&world.hosts[0].ns, &format!("ping -c 1 -W 1 {address}"));
}
