//! Echo requests that carry the probes' mark, and their answers. Knows: what they look like. Must not know: through which
//! association they go (the mark's policy says), or what an answer means.

use super::KernelError;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, bind, recv, sendto,
    setsockopt, socket, sockopt,
};
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use swarm_overlay::esp::Mark;

/// Drawn for each probe: who cannot read it cannot answer it.
pub type Nonce = [u8; 16];

/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;
const REQUEST_V4: u8 = 8;
const ANSWER_V4: u8 = 0;
const REQUEST_V6: u8 = 128;
const ANSWER_V6: u8 = 129;
const RECEIVE_BYTES: usize = 2048;

pub struct ProbeSocket {
    from: IpAddr,
    fd: OwnedFd,
}

impl AsRawFd for ProbeSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl ProbeSocket {
    /// In the calling thread's namespace.
    pub fn open(from: IpAddr) -> Result<Self, KernelError> {
        Self::prepared(from).map_err(|e| KernelError::io("open a socket for probes", e.into()))
    }

    fn prepared(from: IpAddr) -> nix::Result<Self> {
        let (family, protocol) = match from {
            IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
            IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let fd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol)?;
        setsockopt(&fd, sockopt::Mark, &Mark::PROBE.0)?;
        match from {
            IpAddr::V4(ip) => bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(ip, 0)))?,
            IpAddr::V6(ip) => bind(fd.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(ip, 0, 0, 0)))?,
        }
        Ok(Self { from, fd })
    }

    pub fn is_from(&self, addr: IpAddr) -> bool {
        self.from == addr
    }

    /// That it did not go out is seen by there being no answer.
    pub fn send(&self, to: IpAddr, nonce: &Nonce) {
        let kind = if to.is_ipv4() { REQUEST_V4 } else { REQUEST_V6 };
        let mut packet = vec![kind, 0, 0, 0, 0x53, 0x57, 0, 0];
        packet.extend_from_slice(nonce);
        let sum = checksum(&packet).to_be_bytes();
        // Of the other version the kernel makes it.
        if let (true, Some(field)) = (to.is_ipv4(), packet.get_mut(2..4)) {
            field.copy_from_slice(&sum);
        }
        let sent = match to {
            IpAddr::V4(ip) => sendto(
                self.as_raw_fd(),
                &packet,
                &SockaddrIn::from(SocketAddrV4::new(ip, 0)),
                MsgFlags::empty(),
            ),
            IpAddr::V6(ip) => sendto(
                self.as_raw_fd(),
                &packet,
                &SockaddrIn6::from(SocketAddrV6::new(ip, 0, 0, 0)),
                MsgFlags::empty(),
            ),
        };
        if let Err(error) = sent {
            tracing::debug!(%to, %error, "a probe was not sent");
        }
    }

    /// What the next packet answers, if it is an answer; an error when none is there.
    pub fn receive(&self) -> std::io::Result<Option<Nonce>> {
        let mut buffer = [0; RECEIVE_BYTES];
        let got = recv(self.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?;
        Ok(answered(buffer.get(..got).unwrap_or_default(), self.from.is_ipv4()))
    }
}

/// A raw socket tells the IP header too, of version 4.
fn answered(packet: &[u8], ipv4: bool) -> Option<Nonce> {
    let skip = if ipv4 { usize::from(packet.first()? & 0xf) * 4 } else { 0 };
    let expected = if ipv4 { ANSWER_V4 } else { ANSWER_V6 };
    let message = packet.get(skip..)?;
    let nonce = message.get(HEADER..HEADER + size_of::<Nonce>())?;
    nonce.try_into().ok().filter(|_| message.first() == Some(&expected))
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_requests() {
        let mut packet = vec![0x45; 20];
        packet.extend([ANSWER_V4, 0, 0, 0, 0x53, 0x57, 0, 0]);
        packet.extend([7; 16]);
        assert_eq!(answered(&packet, true), Some([7; 16]));
        packet[20] = REQUEST_V4;
        assert_eq!(answered(&packet, true), None);
        // The example of RFC 1071.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, ipv4: bool) {
            let _ = (answered(&bytes, ipv4), checksum(&bytes));
        }
    }
}
