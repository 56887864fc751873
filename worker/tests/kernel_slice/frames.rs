//! Raw frames, as they leave and as they arrive. Knows sockets; must not know what is in a frame.

use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike};
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
