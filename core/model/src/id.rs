//! Identifiers: 25 characters of `0-9a-z`, made outside (randomness is not known here), compared as text.

use alloc::string::{String, ToString};
use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Length of every id in characters.
pub const ID_LEN: usize = 25;

/// An identifier of the kind `K`. `K` only keeps a node's id from being passed where a network's is meant.
pub struct Id<K> {
    text: [u8; ID_LEN],
    kind: PhantomData<fn() -> K>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdParseError {
    pub given: String,
}

impl fmt::Display for IdParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an id: expected {ID_LEN} characters of 0-9a-z", self.given)
    }
}

impl core::error::Error for IdParseError {}

impl<K> Id<K> {
    /// Makes an id from 16 random bytes: the number in base 36, padded on the left to 25 characters.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let mut number = u128::from_be_bytes(bytes);
        let mut text = [b'0'; ID_LEN];
        for digit in text.iter_mut().rev() {
            *digit = match (number % 36) as u8 {
                ten_or_more @ 10.. => b'a' + (ten_or_more - 10),
                less => b'0' + less,
            };
            number /= 36;
        }
        Self { text, kind: PhantomData }
    }

    /// The bytes `from_random` made it from. None: not made so (36^25 is more than 2^128).
    pub fn to_bytes(&self) -> Option<[u8; 16]> {
        let digit =
            |c: &u8| u128::from(if c.is_ascii_digit() { c - b'0' } else { c.saturating_sub(b'a') + 10 });
        let number = self.text.iter().try_fold(0_u128, |sum, c| sum.checked_mul(36)?.checked_add(digit(c)));
        number.map(u128::to_be_bytes)
    }

    pub fn as_str(&self) -> &str {
        // Only `from_random` and `from_str` make ids, both of ASCII.
        core::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The first 12 characters: what tables of networks show.
    pub fn short(&self) -> &str {
        self.as_str().get(..12).unwrap_or_default()
    }
}

impl<K> FromStr for Id<K> {
    type Err = IdParseError;

    fn from_str(given: &str) -> Result<Self, IdParseError> {
        let ours = |c: &u8| c.is_ascii_digit() || c.is_ascii_lowercase();
        match <[u8; ID_LEN]>::try_from(given.as_bytes()) {
            Ok(text) if text.iter().all(ours) => Ok(Self { text, kind: PhantomData }),
            _ => Err(IdParseError { given: given.chars().take(64).collect() }),
        }
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<K> core::hash::Hash for Id<K> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}
impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(|e: IdParseError| de::Error::custom(e.to_string()))
    }
}

/// Kinds of ids; never instantiated.
pub mod kind {
    pub enum Cluster {}
    pub enum Node {}
    pub enum Network {}
    pub enum Endpoint {}
    pub enum Sandbox {}
    pub enum Session {}
    pub enum Request {}
    pub enum Token {}
    pub enum User {}
}

pub type ClusterId = Id<kind::Cluster>;
pub type NodeId = Id<kind::Node>;
pub type NetworkId = Id<kind::Network>;
pub type EndpointId = Id<kind::Endpoint>;
/// One sandbox (a network namespace) may hold endpoints of several networks.
pub type SandboxId = Id<kind::Sandbox>;
/// A worker's session with one manager, made by that manager.
pub type SessionId = Id<kind::Session>;
/// Chosen by whoever asks for a change; asking again with the same one does not do it twice.
pub type RequestId = Id<kind::Request>;
/// A join token that an operator had made; names it without admitting anybody.
pub type TokenId = Id<kind::Token>;
/// A person, or a program, that speaks to managers with a certificate of its own.
pub type UserId = Id<kind::User>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_bytes_it_was_made_from() {
        for bytes in [[0; 16], [255; 16], [7; 16]] {
            assert_eq!(NodeId::from_random(bytes).to_bytes(), Some(bytes));
        }
        let largest: NodeId = "zzzzzzzzzzzzzzzzzzzzzzzzz".parse().expect("an id");
        assert_eq!(largest.to_bytes(), None);
    }
}
