//! Forged VXLAN does not get through: not from an ordinary program on a member, not from a stranger, not by way of a
//! sandbox and the gateway, and not in clear into an encrypted network (F49).

mod net;

use net::{World, eventually, must, run};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use swarm_model::{NetworkId, Vni};
use swarm_netns::NetNs;
use swarm_overlay::esp::{GUARD_TABLE, Guard};

/// VXLAN with an Ethernet frame inside, for the first sandbox of the second host.
fn vxlan(vni: u32) -> Vec<u8> {
    let mut bytes = vec![8, 0, 0, 0];
    bytes.extend((vni << 8).to_be_bytes());
    bytes.extend([0x02, 0x42, 10, 0, 1, 3, 0x02, 0x42, 10, 0, 1, 2, 8, 0]);
    bytes.extend([0; 46]);
    bytes
}

/// Sends from an ordinary socket; whether the kernel took it.
fn send(from: &NetNs, to: &str, vni: u32) -> bool {
    let to: IpAddr = to.parse().unwrap();
    from.run(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(&vxlan(vni), (to, 4789)).is_ok()).unwrap()
}

/// Frames a VXLAN device has taken in.
fn taken(ns: &NetNs, device: &str) -> u64 {
    let shown = must(ns, &format!("ip -s -o link show {device}"));
    let counts = shown.split("RX:").nth(1).unwrap().split('\\').nth(1).unwrap();
    counts.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Dropped packets are gone at once: what came in before is counted before this one.
fn arrives(before: u64, ns: &NetNs, device: &str) -> bool {
    std::panic::catch_unwind(|| eventually("a frame arrives", || taken(ns, device) > before)).is_ok()
}

struct Pair {
    world: World,
    network: NetworkId,
    a: NetNs,
    b: NetNs,
}

/// Three hosts, a sandbox each on the first two.
fn pair() -> Pair {
    let mut world = World::new(3, 1500);
    let network = world.network(1, &["10.0.1.0/24"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(1, 2));
    world.attach(0, network, a, &["10.0.1.2/24"]);
    world.attach(1, network, b, &["10.0.1.3/24"]);
    world.apply_all();
    let (a, b) = (world.in_sandbox(0, a), world.in_sandbox(1, b));
    Pair { world, network, a, b }
}

const VNI: u32 = 4097;

#[test]
fn nobody_but_the_kernel_of_a_member_sends_into_a_network() {
    let Pair { world, network, a, .. } = pair();
    must(&a, "ping -c 1 -W 1 10.0.1.3");
    let (one, two, three) = (&world.hosts[0].ns, world.hosts[1].overlay(network), &world.hosts[2].ns);
    let before = taken(&two, "vxlan0");
    assert!(!send(one, "192.0.2.2", VNI), "an ordinary socket of a member is refused");
    assert!(!send(one, "192.0.2.2", 77), "whatever the VNI: the other host may have one that is not here");
    assert!(send(three, "192.0.2.2", VNI), "a stranger may send what it likes");
    send(&a, "192.0.2.2", VNI);
    must(&a, "ping -c 3 -i 0.01 10.0.1.3");
    assert_eq!(taken(&two, "vxlan0"), before + 3, "and nothing of it arrives");
    // Without the guard each of them would: so it is the guard that drops them.
    let bare =
        |host: usize| drop(must(&world.hosts[host].ns, &format!("nft delete table inet {GUARD_TABLE}")));
    let before = taken(&two, "vxlan0");
    bare(0);
    assert!(send(one, "192.0.2.2", VNI) && arrives(before, &two, "vxlan0"), "from a member's socket");
}

/// What is removed by hand comes back, and the network works on meanwhile.
#[test]
fn the_guard_comes_back() {
    let Pair { world, a, b, .. } = pair();
    must(&world.hosts[0].ns, &format!("nft delete table inet {GUARD_TABLE}"));
    must(&a, "ping -c 1 -W 1 10.0.1.3");
    let listed = || run(&world.hosts[0].ns, &format!("nft list table inet {GUARD_TABLE}")).is_ok();
    eventually("the guard is back", listed);
    must(&b, "ping -c 1 -W 1 10.0.1.2");
    assert!(!send(&world.hosts[0].ns, "192.0.2.2", VNI));
}

#[test]
fn it_goes_with_the_last_network() {
    let Pair { world, .. } = pair();
    let host = &world.hosts[0];
    host.block_on(|reconciler| async move { reconciler.teardown_all().await }).unwrap();
    assert_eq!(must(&host.ns, "nft list ruleset").trim(), "");
}

/// A VXLAN device as it is on a host, without a daemon that would put the guard right.
fn bare_device() -> (World, NetNs, NetNs) {
    let world = World::new(2, 1500);
    let (from, to) = (world.hosts[0].ns.clone(), world.hosts[1].ns.clone());
    must(&to, "ip link add vx type vxlan id 4097 dstport 4789 local 192.0.2.2 nolearning");
    must(&to, "ip link set vx up");
    (world, from, to)
}

/// The first host is a member of all.
fn load(ns: &NetNs, plain: &[u32], encrypted: &[u32]) {
    let members = plain.iter().chain(encrypted).map(|vni| (*vni, 1)).collect::<Vec<_>>();
    load_with(ns, [plain, encrypted], &members);
}

fn load_with(ns: &NetNs, [plain, encrypted]: [&[u32]; 2], members: &[(u32, u8)]) {
    let vni = |number: &u32| Vni::new(*number).unwrap();
    let member = |(of, host): &(u32, u8)| (vni(of), BTreeSet::from([IpAddr::from([192, 0, 2, *host])]));
    let guard = Guard {
        vtep: IpAddr::from([192, 0, 2, 2]),
        port: 4789,
        plain: plain.iter().map(vni).collect(),
        encrypted: encrypted.iter().map(vni).collect(),
        members: members.iter().map(member).collect(),
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, guard.text()).unwrap();
    must(ns, &format!("nft -f {}", file.path().display()));
}

/// The datagram in two fragments, of which the first ends with the UDP header: before the VNI.
fn send_in_pieces(from: &NetNs, vni: u32) {
    let payload = vxlan(vni);
    let mut udp = Vec::new();
    let length = u16::try_from(payload.len() + 8).unwrap();
    for word in [5000, 4789, length, 0] {
        udp.extend(word.to_be_bytes());
    }
    udp.extend(payload);
    let (first, second) = udp.split_at(8);
    from.run(|| {
        let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Raw).unwrap();
        for (offset, more, part) in [(0u16, 0x2000, first), (1, 0, second)] {
            let mut packet = vec![0x45, 0];
            packet.extend(u16::try_from(part.len() + 20).unwrap().to_be_bytes());
            packet.extend([0, 7]);
            packet.extend((offset | more).to_be_bytes());
            packet.extend([64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
            packet.extend(part);
            let to = SockaddrIn::from(std::net::SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 0));
            sendto(raw.as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
        }
    })
    .unwrap();
}

#[test]
fn what_comes_in_clear_into_an_encrypted_network_is_dropped() {
    let (_world, from, to) = bare_device();
    let mut before = taken(&to, "vx");
    for guard in [false, true] {
        if guard {
            load(&to, &[4097], &[]);
        }
        send(&from, "192.0.2.2", VNI);
        assert!(arrives(before, &to, "vx"), "a plain network takes it from a member");
        send_in_pieces(&from, VNI);
        assert!(arrives(before + 1, &to, "vx"), "also in fragments");
        before += 2;
    }
    load(&to, &[4098], &[4097]);
    send(&from, "192.0.2.2", VNI);
    send_in_pieces(&from, VNI);
    // A plain network beside it, and what follows is behind the others.
    must(&to, "ip link add other type vxlan id 4098 dstport 4789 local 192.0.2.2 nolearning");
    must(&to, "ip link set other up");
    send(&from, "192.0.2.2", 4098);
    assert!(arrives(0, &to, "other"));
    assert_eq!(taken(&to, "vx"), before, "neither whole nor in fragments");
}

#[test]
fn a_member_of_one_network_sends_into_no_other() {
    let (_world, from, to) = bare_device();
    must(&to, "ip link add other type vxlan id 4098 dstport 4789 local 192.0.2.2 nolearning");
    must(&to, "ip link set other up");
    load_with(&to, [&[4097, 4098], &[]], &[(4097, 9), (4098, 1)]);
    let before = taken(&to, "vx");
    send(&from, "192.0.2.2", VNI);
    send(&from, "192.0.2.2", 4098);
    assert!(arrives(0, &to, "other"));
    assert_eq!(taken(&to, "vx"), before);
}

/// With no IPsec there is no way out for it: silent, not clear.
#[test]
fn nothing_of_an_encrypted_network_leaves_in_clear() {
    let (world, other, host) = bare_device();
    // As an overlay is: in a namespace of its own, so that no socket of the host's stands behind its packets.
    let path = world.hosts[1].dir.join("netns/inner");
    let inner = NetNs::create(&path).unwrap();
    must(&host, &format!("ip link set vx netns {}", path.display()));
    must(&inner, "ip link set vx up");
    must(&other, "ip link add vx type vxlan id 4097 dstport 4789 local 192.0.2.1 nolearning");
    must(&other, "ip link set vx up");
    must(&inner, "ip addr add 10.9.9.2/24 dev vx");
    must(&inner, "ip neigh add 10.9.9.1 lladdr 02:42:0a:00:00:01 dev vx");
    must(&inner, "bridge fdb add 02:42:0a:00:00:01 dev vx dst 192.0.2.1 self");
    let before = taken(&other, "vx");
    let _ = run(&inner, "ping -c 1 -W 0.1 10.9.9.1");
    assert!(arrives(before, &other, "vx"), "without a guard it does");
    load(&host, &[], &[4097]);
    let before = taken(&other, "vx");
    let _ = run(&inner, "ping -c 3 -i 0.05 -W 0.1 10.9.9.1");
    load(&host, &[4097], &[]);
    let _ = run(&inner, "ping -c 1 -W 0.1 10.9.9.1");
    eventually("the last one arrives", || taken(&other, "vx") > before);
    assert_eq!(taken(&other, "vx"), before + 1);
}
