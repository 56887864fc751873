//! The secrets that nodes' own talk is sealed with, rotated while the cluster runs: gossip's, and those that the keys of
//! encrypted networks are derived from. Must not know how they are used.

use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How many generations count: the newest, the one before it, and the one that who has not heard since still uses.
pub const MOST_GENERATIONS: usize = 3;

/// 32 random bytes. Secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretBytes(pub [u8; 32]);

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

/// One generation. The two have nothing to do with each other: every node holds the one, no worker the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// One more than that of the generation before.
    pub number: u64,
    pub created_ms: u64,
    /// Every node gets it.
    pub gossip: SecretBytes,
    /// Stays with the managers: workers get only what is derived from it for their own pairs.
    pub pairs: SecretBytes,
}

/// What a node gets of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipKey {
    pub generation: u64,
    pub secret: SecretBytes,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRing {
    /// Newest first, at most `MOST_GENERATIONS`. Empty until the first was made.
    pub generations: Vec<Generation>,
    /// Somebody who is no member any more knows the newest: it is time for another, whatever its age.
    #[serde(default)]
    pub spent: bool,
}

impl SecretRing {
    /// 0: there is none.
    pub fn newest(&self) -> u64 {
        self.generations.first().map_or(0, |generation| generation.number)
    }

    /// Newest first.
    pub fn gossip_keys(&self) -> Vec<GossipKey> {
        let key = |g: &Generation| GossipKey { generation: g.number, secret: g.gossip.clone() };
        self.generations.iter().map(key).collect()
    }

    pub fn turn(&mut self, created_ms: u64, gossip: SecretBytes, pairs: SecretBytes) {
        let number = self.newest().saturating_add(1);
        self.generations.insert(0, Generation { number, created_ms, gossip, pairs });
        self.generations.truncate(MOST_GENERATIONS);
        self.spent = false;
    }

    /// Whether it is time for another generation by this clock, which may be another manager's than the one that made the
    /// newest.
    pub fn is_due(&self, now_ms: u64, every_ms: u64) -> bool {
        let age = |newest: &Generation| now_ms.saturating_sub(newest.created_ms);
        self.spent || self.generations.first().is_none_or(|newest| age(newest) >= every_ms)
    }
}
