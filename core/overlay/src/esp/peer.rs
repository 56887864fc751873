//! One peer: what is wanted of the tunnels with it, and how far they are. Knows: when sending moves to the next key. Must
//! not know: other peers.

use alloc::string::String;
use core::net::IpAddr;
use swarm_model::{GenerationNumber, Incarnation, PairRing};

/// A peer that shares an encrypted network with this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPeer {
    pub vtep: IpAddr,
    /// The last one heard of. `None`: the peer has told none, because its release is too old or it has yet to register.
    pub incarnation: Option<Incarnation>,
    /// `None` while no manager has sent them.
    pub ring: Option<PairRing>,
}

/// How far the tunnels with one peer are, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerState {
    /// A probe came back through the key that is used.
    Verified { generation: GenerationNumber, at_ms: u64 },
    /// Encrypted by an earlier key, which goes on being used until the next one is verified.
    Moving,
    /// Nothing is sent yet. The sentence says what is waited for.
    Pending(&'static str),
    /// Nothing will be sent: why.
    Refused(String),
}
