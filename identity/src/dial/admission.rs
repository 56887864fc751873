//! Dialling a manager before being a member: no certificate to show, and of the CA only the digest in the join token.

use super::DialError;
use super::connect::{Trust, Wanted};
use crate::tls;
use crate::token::CaDigest;
use std::sync::Arc;
use tonic::transport::Channel;

/// To a manager at `addr` (`HOST:PORT`) whose chain ends in the root CA with this digest. One handshake: nothing is
/// sent to, or believed from, anybody else. Fails with `DialError::DigestMismatch` if another cluster answers there.
pub async fn channel(addr: &str, digest: &CaDigest) -> Result<Channel, DialError> {
    let config = tls::joiner(*digest).map_err(|e| DialError::Tls { why: e.to_string() })?;
    let trust = Trust::Pinned { digest: *digest, config: Arc::new(config) };
    super::channel(addr.parse()?, trust, Wanted::Manager).await
}

/// As [`channel`], to a manager whose certificate does not hold by this host's clock: it is to be asked what time it is
/// there, so that people are told by how much the clocks differ. Whoever it is may be of the past: it is told no secret,
/// and believed in nothing else.
pub async fn channel_at_any_time(addr: &str, digest: &CaDigest) -> Result<Channel, DialError> {
    let config = tls::joiner_at_any_time(*digest).map_err(|e| DialError::Tls { why: e.to_string() })?;
    let trust = Trust::Pinned { digest: *digest, config: Arc::new(config) };
    super::channel(addr.parse()?, trust, Wanted::Manager).await
}
