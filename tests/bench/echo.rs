//! Round trips: ICMP echo from a raw socket, timed by the sender. Knows RFC 792; must not know whose network it is.

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};
use swarm_tests::space::Space;

const HEADER: usize = 8;
/// As `ping` sends.
const PAYLOAD: usize = 56;
const PATIENCE_MS: i64 = 20;

/// Asks from one namespace.
pub struct Echo {
    socket: OwnedFd,
    sequence: u16,
}

impl Echo {
    pub fn from(net: &Path) -> Result<Self> {
        let socket = Space::in_net(net, || {
            Ok(socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)?)
        })?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(PATIENCE_MS))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// One round trip; `None` when no answer came in 20 ms.
    pub fn once(&mut self, to: Ipv4Addr) -> Result<Option<Duration>> {
        self.sequence = self.sequence.wrapping_add(1);
        let packet = request(self.sequence);
        let to = SockaddrIn::from(std::net::SocketAddrV4::new(to, 0));
        let begun = Instant::now();
        match sendto(self.socket.as_raw_fd(), &packet, &to, MsgFlags::empty()) {
            Ok(_) => {}
            // Not there yet, or not any more.
            Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => return Ok(None),
            Err(e) => bail!("cannot send an echo request: {e}"),
        }
        let mut buffer = [0; 256];
        while begun.elapsed() < Duration::from_millis(PATIENCE_MS.cast_unsigned()) {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(got) if is_answer(&buffer[..got], self.sequence) => return Ok(Some(begun.elapsed())),
                Ok(_) | Err(Errno::EINTR | Errno::EHOSTUNREACH) => {}
                Err(Errno::EAGAIN) => break,
                Err(e) => bail!("cannot receive an echo answer: {e}"),
            }
        }
        Ok(None)
    }

    /// Asks until an answer comes, for at most `limit`; how long that took, and whether the first one was answered.
    pub fn until(&mut self, to: Ipv4Addr, limit: Duration) -> Result<(Duration, bool)> {
        let begun = Instant::now();
        let mut first = true;
        while begun.elapsed() < limit {
            if self.once(to)?.is_some() {
                return Ok((begun.elapsed(), first));
            }
            first = false;
        }
        bail!("{to} did not answer within {limit:?}")
    }
}

fn request(sequence: u16) -> [u8; HEADER + PAYLOAD] {
    let mut packet = [0; HEADER + PAYLOAD];
    packet[0] = 8;
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    let sum: u32 = packet.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default();
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet
}

fn is_answer(packet: &[u8], sequence: u16) -> bool {
    let header = packet.first().map_or(0, |b| usize::from(b & 15) * 4);
    let body = packet.get(header..).unwrap_or_default();
    body.first() == Some(&0) && body.get(6..8) == Some(&sequence.to_be_bytes())
}
