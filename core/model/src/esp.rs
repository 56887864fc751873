//! What two nodes make their ESP keys from.

use crate::NodeId;
use alloc::collections::BTreeMap;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Sixteen random bytes a daemon draws at every start, and again when one of its security associations was found without
/// its state: keys made with another incarnation are other keys, so no counter ever begins anew under one that was used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub [u8; 16]);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Counts the cluster secrets up.
pub type GenerationNumber = u64;

/// What the managers made out of one generation's cluster secret for one pair of nodes. Secret: held in memory, sent over
/// the session, never written to a worker's disk and never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PairSecret(pub [u8; 32]);

impl fmt::Debug for PairSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairSecret(…)")
    }
}

/// The pair secrets that count: up to three generations. What is sent is to go by `current`, as soon as the other end is
/// seen to have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRing {
    pub current: GenerationNumber,
    pub secrets: BTreeMap<GenerationNumber, PairSecret>,
}

/// What a node gets to encrypt with one other that it shares an encrypted network with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The other.
    pub node: NodeId,
    /// The last one that it told. `None`: it has told none, because it is too old, cannot encrypt or has yet to begin.
    pub incarnation: Option<Incarnation>,
    /// Empty until whoever sends it puts the secrets in, and where there are none.
    pub ring: PairRing,
}
