//! What the kernel takes at most: prepared messages, a system call for many of them, one acknowledgement for each call.
//! Knows `struct ndmsg`; must not know the reconciler.

use crate::{address, answer};
use netlink_sys::{Socket, SocketAddr};
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Instant;
use swarm_model::mac_for_ip;
use swarm_netns::NetNs;

/// Larger pieces were not faster.
const PIECE_BYTES: usize = 32 * 1024;
const NEW_NEIGHBOUR: u16 = 28;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE_OR_REPLACE: u16 = 0x500;
const NUD_REACHABLE: u16 = 2;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
const SELF_AND_MASTER: u8 = 6;

/// Fills the tables of fresh bridges, one for each network, and takes them away again.
pub fn fill(networks: u32, each: u32) -> String {
    let spaces: Vec<Space> = (0..networks).map(|_| Space::new()).collect();
    let batches: Vec<Vec<Vec<u8>>> =
        spaces.iter().enumerate().map(|(at, space)| pieces(space, at, each)).collect();
    let begun = Instant::now();
    for (space, batch) in spaces.iter().zip(&batches) {
        batch.iter().for_each(|piece| space.send(piece));
    }
    answer((networks * each * 2) as usize, 0.0, begun.elapsed().as_secs_f64())
}

/// A namespace with a bridge and a vxlan device on it.
struct Space {
    _ns: NetNs,
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    socket: Socket,
    bridge: u32,
    vxlan: u32,
}

impl Space {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net");
        let ns = NetNs::create(&path).unwrap();
        for command in [
            "ip link add br0 up type bridge",
            "ip link add vxlan0 type vxlan id 1 local 127.0.0.1 dstport 4789 nolearning",
            "ip link set vxlan0 up master br0",
            "bridge link set dev vxlan0 neigh_suppress on learning off flood off",
        ] {
            let words: Vec<&str> = command.split(' ').collect();
            let done = ns.run(|| Command::new(words[0]).args(&words[1..]).status()).unwrap().unwrap();
            assert!(done.success(), "{command}");
        }
        let (socket, bridge, vxlan) = ns
            .run(|| {
                let mut socket = Socket::new(netlink_sys::protocols::NETLINK_ROUTE).unwrap();
                socket.bind_auto().unwrap();
                socket.connect(&SocketAddr::new(0, 0)).unwrap();
                let index = |name| nix::net::if_::if_nametoindex(name).unwrap();
                (socket, index("br0"), index("vxlan0"))
            })
            .unwrap();
        Self { _ns: ns, _dir: dir, path, socket, bridge, vxlan }
    }

    /// Sends one piece and waits for the answer to its last message, which says that all went well.
    fn send(&self, piece: &[u8]) {
        assert_eq!(self.socket.send(piece, 0).unwrap(), piece.len());
        let (said, _) = self.socket.recv_from_full().unwrap();
        assert_eq!(said.get(16..20), Some(&[0; 4][..]), "the kernel refused an entry");
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = swarm_netns::remove(&self.path);
    }
}

fn pieces(space: &Space, at: usize, each: u32) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    let mut last = 0;
    let addresses = (0..each).map(|number| address(at, number));
    let forwarding = addresses.clone().map(|ip| forwarding(space.vxlan, ip));
    for message in forwarding.chain(addresses.map(|ip| neighbour(space.bridge, ip))) {
        if pieces.last().is_some_and(|p: &Vec<u8>| p.len() + message.len() > PIECE_BYTES) {
            ask_answer(pieces.last_mut().unwrap(), last);
            pieces.push(Vec::new());
        }
        let piece = pieces.last_mut().unwrap();
        last = piece.len();
        piece.extend(message);
    }
    ask_answer(pieces.last_mut().unwrap(), last);
    pieces
}

fn ask_answer(piece: &mut [u8], message: usize) {
    let flags = (REQUEST | ACK | CREATE_OR_REPLACE).to_ne_bytes();
    piece[message + 6..message + 8].copy_from_slice(&flags);
}

fn forwarding(vxlan: u32, ip: Ipv4Addr) -> Vec<u8> {
    let vtep = attribute(1, &[192, 0, 2, 2]);
    let mac = attribute(2, &mac_for_ip(ip.into()).0);
    message(7, vxlan, NUD_NOARP | NUD_REACHABLE, SELF_AND_MASTER, [mac, vtep].concat())
}

fn neighbour(bridge: u32, ip: Ipv4Addr) -> Vec<u8> {
    let address = attribute(1, &ip.octets());
    let mac = attribute(2, &mac_for_ip(ip.into()).0);
    message(2, bridge, NUD_PERMANENT, 0, [address, mac].concat())
}

fn message(family: u8, index: u32, state: u16, flags: u8, attributes: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(16 + 12 + attributes.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(NEW_NEIGHBOUR.to_ne_bytes());
    bytes.extend((REQUEST | CREATE_OR_REPLACE).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0, 0, 0]);
    bytes.extend(index.to_ne_bytes());
    bytes.extend(state.to_ne_bytes());
    bytes.extend([flags, 0]);
    bytes.extend(attributes);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
