//! Sandboxes on two hosts reach each other at the first packet, may not pretend to be somebody else, and
//! leave nothing behind.

mod net;

use net::{World, eventually, must, run};
use swarm_netns::NetNs;

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
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(1, 2));
    world.attach(0, network, a, &["10.0.1.2/24"]);
    world.attach(1, network, b, &["10.0.1.3/24"]);
    world.apply_all();
    must(&world.in_sandbox(0, a), "ping -c 1 -W 1 -M do -s 1402 10.0.1.3");
    assert!(
        run(&world.in_sandbox(0, a), "ping -c 1 -W 1 -M do -s 1403 10.0.1.3").is_err(),
        "70 bytes are added"
    );
    assert!(must(&world.hosts[0].ns, "ss -ulnH").contains(":7777"), "the socket is the host's");
    world.apply_all();
    assert_eq!(world.hosts[0].reconciler.counters().repairs, 0);
}

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
        let network = world.network(1, &["10.0.1.0/24"], |_| {});
        let (a, b) = (world.sandbox(0, 1), world.sandbox(1, 2));
        world.attach(0, network, a, &["10.0.1.2/24"]);
        world.attach(1, network, b, &["10.0.1.3/24"]);
        world.apply_all();
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

/// Raw frames.
mod frames {
    use nix::sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike,
    };
    use nix::sys::socket::{bind, recv, sendto, setsockopt, socket, sockopt};
    use nix::sys::time::{TimeVal, TimeValLike};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::sync::mpsc::Sender;

    pub const END: usize = 255;

    /// Stands at the end of a frame, to know it again.
    pub fn mark(number: usize) -> String {
        format!("5eed{number:02x}5eed")
    }

    fn open() -> (OwnedFd, LinkAddr) {
        let all = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), all).unwrap();
        let addresses = nix::ifaddrs::getifaddrs().unwrap();
        let eth0 =
            addresses.filter(|a| a.interface_name == "eth0").find_map(|a| a.address?.as_link_addr().copied());
        (socket, eth0.unwrap())
    }

    pub fn send(hex: &str) {
        let hex = hex.replace(' ', "");
        let (socket, eth0) = open();
        let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
        let frame: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        sendto(socket.as_raw_fd(), &frame, &eth0, MsgFlags::empty()).unwrap();
    }

    /// The numbers of the marked frames that come in, up to the end mark.
    pub fn listen(ready: &Sender<()>) -> Vec<usize> {
        let (socket, eth0) = open();
        assert!(eth0.len() > 0);
        bind(socket.as_raw_fd(), &eth0).unwrap();
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(10)).unwrap();
        ready.send(()).unwrap();
        let (mut seen, mut buffer) = (Vec::new(), [0; 2048]);
        loop {
            let got = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())
                .unwrap_or_else(|e| panic!("no end mark: {e}; seen {seen:?}"));
            let number = match buffer[..got] {
                [.., 0x5e, 0xed, number, 0x5e, 0xed] => usize::from(number),
                _ => continue,
            };
            if number == END {
                return seen;
            }
            seen.push(number);
        }
    }
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
        world.apply_all();
        let there = std::time::Instant::now();
        asking.join().unwrap().unwrap();
        let took = there.elapsed();
        assert!(took.as_millis() < 700, "{address}: an answer {took:?} after there was one");
    }
}
