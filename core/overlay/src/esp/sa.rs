//! Security associations and policies, as they should be or as they are. Knows: what matters to us of them. Must not know:
//! netlink, or which of the two a value is.

use super::name::{Spi, Tunnel};
use alloc::collections::BTreeMap;
use core::fmt;
use core::net::IpAddr;

/// What the kernel finds a security association by, with its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SaId {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub spi: Spi,
}

/// Packet marks of our own. Packets that carry one leave through the policy for it or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u32);

impl Mark {
    /// VXLAN of an encrypted network.
    pub const DATA: Self = Self(0x5e00_0001);
    /// Probes.
    pub const PROBE: Self = Self(0x5e00_0002);
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    Data,
    Probe,
}

impl Purpose {
    pub const ALL: [Self; 2] = [Self::Data, Self::Probe];

    pub fn mark(self) -> Mark {
        match self {
            Self::Data => Mark::DATA,
            Self::Probe => Mark::PROBE,
        }
    }
}

/// A policy of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Everything with this mark that no other policy takes is dropped. One for each version of IP.
    Block { purpose: Purpose, ipv4: bool },
    /// From here to one peer, through whichever security association it names.
    Way { purpose: Purpose, src: IpAddr, dst: IpAddr },
}

/// When the kernel gives up a security association. The soft bound is ours: past it another key is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits;

impl Limits {
    /// The counter that makes the nonce has 64 bits and the authenticator's bound is far away; these bounds keep what one
    /// key protects small beside both. At 10 Gbit/s of full packets the soft one is reached after some five hours.
    pub const SOFT_PACKETS: u64 = 1 << 34;
    pub const HARD_PACKETS: u64 = 1 << 35;
    pub const SOFT_BYTES: u64 = 1 << 44;
    pub const HARD_BYTES: u64 = 1 << 45;

    /// Without extended sequence numbers there are 2^32 of them, and none may come twice.
    pub const SOFT_SHORT: u64 = 3 << 30;
    pub const HARD_SHORT: u64 = (1 << 32) - (1 << 20);
}

/// A security association as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    pub packets: u64,
    pub bytes: u64,
    /// Has extended sequence numbers.
    pub extended: bool,
}

impl Seen {
    pub fn is_worn(&self) -> bool {
        let packets = if self.extended { Limits::SOFT_PACKETS } else { Limits::SOFT_SHORT };
        self.packets >= packets || self.bytes >= Limits::SOFT_BYTES
    }
}

/// Everything of ours in the kernel, foreign associations and policies left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    pub sas: BTreeMap<SaId, Seen>,
    /// With the index each way's template names; none for blocks.
    pub policies: BTreeMap<Policy, Option<Spi>>,
}

/// One step. Every one ensures, except that an association is never written over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    AddSa { id: SaId, tunnel: Tunnel },
    DeleteSa(SaId),
    PutPolicy(Policy, Option<Spi>),
    DeletePolicy(Policy),
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block { purpose, ipv4 } => {
                let any = if *ipv4 { "0.0.0.0/0" } else { "::/0" };
                write!(f, "src {any} dst {any} dir out mark {:#x} action block", purpose.mark().0)
            }
            Self::Way { purpose, src, dst } => {
                write!(f, "src {src} dst {dst} dir out mark {:#x}", purpose.mark().0)
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddSa { id, tunnel } => write!(
                f,
                "ip xfrm state add src {} dst {} proto esp spi {} (generation {}) aead rfc4106(gcm(aes)) …",
                id.src, id.dst, id.spi, tunnel.generation
            ),
            Self::DeleteSa(id) => {
                write!(f, "ip xfrm state delete src {} dst {} proto esp spi {}", id.src, id.dst, id.spi)
            }
            Self::PutPolicy(policy, Some(spi)) => {
                write!(f, "ip xfrm policy update {policy} tmpl proto esp spi {spi}")
            }
            Self::PutPolicy(policy, None) => write!(f, "ip xfrm policy update {policy}"),
            Self::DeletePolicy(policy) => write!(f, "ip xfrm policy delete {policy}"),
        }
    }
}
