//! Issuing certificates: the root CA, and what of a signing request reaches a certificate (its key, nothing else).
//! Must not know who may ask for one.

mod external;
mod name;
mod profile;
mod request;
mod root;

pub(crate) use profile::BACKDATED_MS;
pub use profile::{Subject, UserSubject, Validity};
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
    #[error("could not sign the certificate: {0}")]
    Sign(String),
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Sign(error.to_string())
    }
}
