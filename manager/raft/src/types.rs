//! The one set of types openraft is instantiated with, and the short names of its parts.
//!
//! Knows: openraft's type configuration. Must not know: storage or transport.

use std::fmt;

use bytes::Bytes;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::Member;

openraft::declare_raft_types!(
    /// Plain Raft: at most one leader per term, so log ids carry a term and an index only.
    pub Types:
        D = Command,
        R = Reply,
        NodeId = u64,
        Node = Member,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

pub type LogId = openraft::alias::LogIdOf<Types>;
pub type Vote = openraft::alias::VoteOf<Types>;
pub type Entry = openraft::alias::EntryOf<Types>;
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub type Snapshot = openraft::alias::SnapshotOf<Types, Bytes>;
pub type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub type Raft = openraft::Raft<Types, crate::apply::Applier>;

/// One opaque command of the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Command(pub Bytes);

/// What the machine answered; empty for entries that are Raft's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply(pub Vec<u8>);

// Commands hold secrets, so neither form prints more than their size.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({} bytes)", self.0.len())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Raw;
        impl<'de> Visitor<'de> for Raw {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a command")
            }
            fn visit_bytes<E: serde::de::Error>(self, v: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(v))
            }
            fn visit_byte_buf<E: serde::de::Error>(self, v: Vec<u8>) -> Result<Bytes, E> {
                Ok(v.into())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes.into())
            }
        }
        deserializer.deserialize_bytes(Raw).map(Command)
    }
}

/// Index of a log id, with nothing counting as "before index 0".
pub fn next_index(id: &Option<LogId>) -> u64 {
    id.as_ref().map_or(0, |id| id.index.saturating_add(1))
}
