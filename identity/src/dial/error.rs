//! Why a dial failed, in words that say what to do. Must not know how it was found out.

use super::AddressError;
use crate::token::CaDigest;
use std::error::Error;
use std::io;
use swarm_model::{ClusterId, NodeId};
use tonic::{Code, Status};

/// Why a manager refuses a certificate that only its clock is against.
pub const EXPIRED_THERE: &str = "it has expired by that manager's clock";

/// `addr` is always the address as dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("could not resolve {name}: {why}")]
    NotResolvable { name: String, why: String },
    #[error("could not reach {addr}: {why}")]
    Unreachable { addr: String, why: String },
    #[error("{addr} took the connection but did not finish the handshake within {after_ms} ms")]
    Silent { addr: String, after_ms: u64 },
    #[error(
        "{addr} closed the connection before the handshake was done: it may be overloaded or shutting down; try again"
    )]
    Closed { addr: String },
    #[error("{addr} does not speak TLS: is this the port of a manager (2377 by default)?")]
    NotTls { addr: String },
    #[error("{addr} speaks TLS, but not as a manager does: {why}")]
    Protocol { addr: String, why: String },
    #[error("{addr} belongs to another cluster: its certificate was not issued by this cluster's CA")]
    ForeignCa { addr: String },
    #[error(
        "{addr} belongs to another cluster than the join token, or its root CA was replaced since: the token names the CA {expected}{}",
        presented.map(|p| format!(", the manager shows {p}")).unwrap_or_default()
    )]
    DigestMismatch { addr: String, expected: CaDigest, presented: Option<CaDigest> },
    #[error("{addr} belongs to another cluster: its certificate names cluster {cluster}")]
    OtherCluster { addr: String, cluster: ClusterId },
    #[error("{addr} is another node than {expected}: its certificate is for {presented}")]
    WrongNode { addr: String, expected: NodeId, presented: String },
    #[error("{addr} is not a manager: its certificate is for {presented}")]
    NotAManager { addr: String, presented: String },
    #[error(
        "the certificate of {addr} is not valid before {behind_s} s from now: this host's clock is behind by at \
         least that much; set it"
    )]
    NotYetValid { addr: String, behind_s: u64 },
    #[error(
        "the certificate of {addr} expired {since_s} s ago by this host's clock: that node must renew it, or this \
         clock is ahead"
    )]
    Expired { addr: String, since_s: u64 },
    #[error("the certificate of {addr} cannot be used: {why}")]
    BadCertificate { addr: String, why: String },
    #[error(
        "this node's own certificate expired {since_s} s ago by this host's clock: set the clock, or leave and join \
         again"
    )]
    OwnExpired { since_s: u64 },
    #[error("{addr} refused this node's certificate: {why}")]
    Refused { addr: String, why: String },
    #[error("TLS cannot be set up: {why}")]
    Tls { why: String },
}

/// What a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialErrorKind {
    /// What was asked makes no sense: asking again will not help.
    Usage,
    /// Nobody there, or nobody who answers: another address, or another time, may do.
    Unreachable,
    /// Somebody is there, but not who was wanted: nothing was told to them.
    Untrusted,
    /// The manager was found and does not take us.
    Refused,
}

impl DialError {
    pub fn kind(&self) -> DialErrorKind {
        match self {
            Self::Address(_) | Self::Tls { .. } => DialErrorKind::Usage,
            Self::NotResolvable { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Closed { .. }
            | Self::NotTls { .. }
            | Self::Protocol { .. } => DialErrorKind::Unreachable,
            Self::ForeignCa { .. }
            | Self::DigestMismatch { .. }
            | Self::OtherCluster { .. }
            | Self::WrongNode { .. }
            | Self::NotAManager { .. }
            | Self::NotYetValid { .. }
            | Self::Expired { .. }
            | Self::BadCertificate { .. } => DialErrorKind::Untrusted,
            Self::OwnExpired { .. } | Self::Refused { .. } => DialErrorKind::Refused,
        }
    }

    /// Whether the two certificates are not of one root CA, whichever side has found that out.
    pub fn is_of_another_root(&self) -> bool {
        match self {
            Self::ForeignCa { .. } | Self::BadCertificate { .. } => true,
            Self::Refused { why, .. } => why != EXPIRED_THERE,
            _ => false,
        }
    }

    /// As a gRPC status: INVALID_ARGUMENT, UNAVAILABLE or PERMISSION_DENIED, with the sentence as its message.
    pub fn to_status(&self) -> Status {
        let code = match self.kind() {
            DialErrorKind::Usage => Code::InvalidArgument,
            DialErrorKind::Unreachable => Code::Unavailable,
            DialErrorKind::Untrusted | DialErrorKind::Refused => Code::PermissionDenied,
        };
        Status::new(code, self.to_string())
    }

    /// The dial error behind the failure of an RPC whose channel had to reconnect first.
    pub fn of_status(status: &Status) -> Option<&Self> {
        Self::find(status)
    }

    /// The dial error in an error's chain of sources.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            // An io::Error's source() is that of the error inside it, not the error itself.
            let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = match inside {
                Some(inside) => Some(inside),
                None => error.source(),
            };
        }
        None
    }
}
