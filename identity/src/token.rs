//! Join tokens: what a joiner must know to trust the cluster and to be let in. Knows their text and how secrets
//! are compared; must not know which secret is the cluster's.

use crate::base36;
use ring::{digest, hmac};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

const PREFIX: &str = "SWMTKN";
const VERSION: &str = "1";
const SECRET_LEN: usize = 25;

/// SHA-256 of a root CA certificate (its DER).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaDigest([u8; 32]);

impl CaDigest {
    pub fn of_certificate(der: &[u8]) -> Self {
        let mut bytes = [0u8; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        Self(bytes)
    }

    /// Of the first certificate in a PEM text.
    pub fn of_pem(pem: &str) -> Option<Self> {
        let cert = CertificateDer::pem_slice_iter(pem.as_bytes()).next()?.ok()?;
        Some(Self::of_certificate(&cert))
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 50 characters of base 36.
impl fmt::Display for CaDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&base36::encode(&self.0))
    }
}

impl fmt::Debug for CaDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `SWMTKN-1-<50 characters: digest of the root CA certificate>-<25 characters: secret>`, all base 36.
/// Display shows the secret, Debug does not.
#[derive(Clone)]
pub struct JoinToken {
    digest: CaDigest,
    secret: Zeroizing<String>,
}

/// What is wrong with one part of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartFault {
    #[error("has {found} characters where {expected} are expected")]
    Length { found: usize, expected: usize },
    /// Counted from 1.
    #[error("has something other than 0-9a-z at its character {at}")]
    Character { at: usize },
    #[error("is no SHA-256 digest")]
    Value,
}

/// A text that is no join token, by the part that is wrong. No variant carries the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error(
        "join token is malformed: it must have 4 parts, as in SWMTKN-1-DIGEST-SECRET, and has {found}; copy the whole token"
    )]
    Parts { found: usize },
    #[error("join token is malformed: it does not begin with SWMTKN-; copy the whole token")]
    Prefix,
    #[error(
        "join token has version {found:?} where 1 is expected: it was made by a release this one does not know"
    )]
    Version { found: String },
    #[error("join token is malformed: its CA digest (the third part) {0}; copy the whole token")]
    Digest(PartFault),
    #[error("join token is malformed: its secret (the last part) {0}; copy the whole token")]
    Secret(PartFault),
}

impl JoinToken {
    /// `secret` as `random::secret` makes it.
    pub fn new(digest: CaDigest, secret: &str) -> Result<Self, TokenError> {
        check_part(secret, SECRET_LEN).map_err(TokenError::Secret)?;
        Ok(Self { digest, secret: Zeroizing::new(secret.to_owned()) })
    }

    pub fn digest(&self) -> CaDigest {
        self.digest
    }

    pub fn secret(&self) -> &str {
        &self.secret
    }
}

fn check_part(part: &str, expected: usize) -> Result<(), PartFault> {
    let found = part.chars().count();
    if found != expected {
        return Err(PartFault::Length { found, expected });
    }
    match part.chars().position(|c| !(c.is_ascii_digit() || c.is_ascii_lowercase())) {
        Some(at) => Err(PartFault::Character { at: at + 1 }),
        None => Ok(()),
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    /// White space around the token is ignored (files end in a newline); nothing else is.
    fn from_str(given: &str) -> Result<Self, TokenError> {
        let parts: Vec<&str> = given.trim().split('-').take(16).collect();
        let [prefix, version, digest, secret] = parts.as_slice() else {
            return Err(TokenError::Parts { found: parts.len() });
        };
        if *prefix != PREFIX {
            return Err(TokenError::Prefix);
        }
        if *version != VERSION {
            return Err(TokenError::Version { found: version.chars().take(8).collect() });
        }
        check_part(digest, base36::LEN_256).map_err(TokenError::Digest)?;
        let digest = base36::decode(digest).map_err(|e| {
            TokenError::Digest(match e {
                base36::DecodeError::Character(at) => PartFault::Character { at: at + 1 },
                base36::DecodeError::TooLarge => PartFault::Value,
            })
        })?;
        Self::new(CaDigest(digest), secret)
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}-{VERSION}-{}-{}", self.digest, self.secret.as_str())
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}-{VERSION}-{}-…", self.digest)
    }
}

/// What the cluster keeps of a secret that it has shown once.
pub fn secret_digest(secret: &str) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
    bytes
}

/// As [`secrets_equal`], for what [`secret_digest`] makes.
pub fn digests_equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, PREFIX.as_bytes());
    let tag = hmac::sign(&key, one);
    hmac::verify(&key, other, tag.as_ref()).is_ok()
}

/// Compares without telling by its duration where the two differ.
pub fn secrets_equal(one: &str, other: &str) -> bool {
    // The key only turns both into tags of one length, which ring compares in constant time.
    let key = hmac::Key::new(hmac::HMAC_SHA256, PREFIX.as_bytes());
    let tag = hmac::sign(&key, one.as_bytes());
    hmac::verify(&key, other.as_bytes(), tag.as_ref()).is_ok()
}
