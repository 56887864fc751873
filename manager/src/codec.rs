//! How commands, replies and snapshots are spelled in Raft: MessagePack with field names, so that a field added later
//! is passed over by those who do not know it. A command that is not known is an error: unknown is not guessed.
//! Knows: bytes. Must not know: what they mean.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that are not what they should be, or a value that cannot be spelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be {done}: {reason}")]
pub struct CodecError {
    what: &'static str,
    done: &'static str,
    reason: String,
}

pub fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, CodecError> {
    let failed = |e: rmp_serde::encode::Error| CodecError { what, done: "encoded", reason: e.to_string() };
    rmp_serde::to_vec_named(value).map_err(failed)
}

pub fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, CodecError> {
    let failed = |e: rmp_serde::decode::Error| CodecError { what, done: "decoded", reason: e.to_string() };
    rmp_serde::from_slice(bytes).map_err(failed)
}
