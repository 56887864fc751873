//! The name of a key: everything that goes into it, so that whatever differs makes another key. Knows: names. Must not
//! know: the key.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use swarm_model::{GenerationNumber, Incarnation, NodeId};

/// A security parameter index: what the receiver finds the key by. Never below 256: those are reserved (RFC 4303 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(u32);

const RESERVED: u32 = 256;

impl Spi {
    /// Out of four bytes of key material.
    pub fn from_bytes(bytes: [u8; 4]) -> Self {
        let number = u32::from_be_bytes(bytes);
        Self(if number < RESERVED { number + RESERVED } else { number })
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}
impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One end of a tunnel: who, since which start, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub vtep: IpAddr,
}

/// One direction between two nodes under one generation: the name of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tunnel {
    pub generation: GenerationNumber,
    pub from: End,
    pub to: End,
}

impl Tunnel {
    /// What is fed to HKDF's expansion beside the pair secret: no two tunnels give the same bytes, because every part has a
    /// fixed length or names its own.
    pub fn label(&self) -> Vec<u8> {
        let mut label = Vec::from(*b"swarmd esp sa 1");
        label.extend(self.generation.to_be_bytes());
        for end in [&self.from, &self.to] {
            label.extend(end.node.as_str().bytes());
            label.extend(end.incarnation.0);
            match end.vtep {
                IpAddr::V4(ip) => label.extend([4].into_iter().chain(ip.octets())),
                IpAddr::V6(ip) => label.extend([16].into_iter().chain(ip.octets())),
            }
        }
        label
    }
}
