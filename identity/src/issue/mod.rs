//! Issuing certificates: the root CA, and what of a signing request reaches a certificate (its key, nothing else).
//! Must not know who may ask for one.

mod external;
mod name;
mod profile;
mod request;
mod root;
mod trial;

pub(crate) use profile::BACKDATED_MS;
pub use profile::{Subject, UserSubject, Validity};
pub use request::tied_to_key;
pub use root::RootCa;

use crate::key::KeyError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    #[error("the root CA certificate is not exactly one PEM certificate")]
    Certificate,
    #[error("the certificate is not a CA certificate: its basic constraints do not say CA")]
    NotACa,
    #[error("the root CA's key cannot be used: {0}")]
    Key(#[from] KeyError),
    #[error("the root CA's key does not belong to its certificate")]
    KeyMismatch,
    #[error("the signing request is {bytes} bytes long, more than the {most} allowed")]
    RequestTooLarge { bytes: usize, most: usize },
    #[error("the signing request is not PKCS#10 in DER")]
    RequestEncoding,
    #[error("the signing request's signature does not prove possession of its key")]
    RequestSignature,
    #[error("the signing request's key is not ECDSA P-256, the only kind that is signed")]
    RequestKey,
    #[error("the root CA's certificate expired {since_s} s ago: the cluster needs a new CA")]
    RootExpired { since_s: u64 },
    #[error("a certificate valid from {from_ms} to {until_ms} ms cannot be made")]
    Validity { from_ms: u64, until_ms: u64 },
    #[error(
        "the root CA certificate is a file of {found} certificates where 1 is expected: give the root alone, \
         without others that it issued or that issued it"
    )]
    Several { found: usize },
    #[error(
        "the root CA certificate is not self-signed: it was issued by {issuer}; give a root, not a CA below one"
    )]
    NotSelfSigned { issuer: String },
    #[error(
        "the root CA's name cannot be taken over: it must be of single UTF-8, printable or IA5 texts, no kind twice"
    )]
    Name,
    #[error("the root CA's certificate is not valid before {in_s} s from now")]
    RootNotYetValid { in_s: u64 },
    #[error(
        "the root CA's certificate ends in {}, and the certificates it is to issue are valid for {}: give a root that \
         lasts longer, or let certificates last less by --cert-expiry",
        span(*.left_ms), span(*.needed_ms)
    )]
    EndsTooSoon { left_ms: u64, needed_ms: u64 },
    #[error("the root CA's certificate has the critical extension {oid}, which is not understood here")]
    Extension { oid: String },
    #[error("the root CA's certificate may not be used to issue certificates {what}")]
    Usage { what: &'static str },
    #[error(
        "the certificate of {whose} that this root CA issues would be refused in the cluster ({when}): {why}; give a root \
         that restricts neither names nor usages"
    )]
    NotTaken { whose: &'static str, when: &'static str, why: String },
    #[error("could not sign the certificate: {0}")]
    Sign(String),
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Sign(error.to_string())
    }
}

/// `3 d 4 h`, `2 h 5 min`.
fn span(ms: u64) -> String {
    let minutes = ms / 60_000;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
