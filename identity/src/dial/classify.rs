//! From what rustls says to what went wrong. Pure.

use super::connect::{Trust, Wanted};
use super::error::{DialError, EXPIRED_THERE};
use crate::tls::Refused;
use rustls::{AlertDescription, CertificateError, Error};
use std::io;
use swarm_model::NodeId;

/// One dial: where, whom to trust, whom to find there.
pub(super) struct Dial<'a> {
    pub(super) addr: String,
    pub(super) trust: &'a Trust,
    pub(super) wanted: &'a Wanted,
}

impl Dial<'_> {
    /// The error of a handshake, or of the wait for the server's first bytes after it.
    pub(super) fn classify(&self, error: &io::Error) -> DialError {
        let addr = self.addr.clone();
        let tls = error.get_ref().and_then(|inside| inside.downcast_ref::<Error>());
        match tls {
            Some(Error::InvalidCertificate(why)) => self.certificate(why),
            Some(Error::AlertReceived(alert)) => alert_received(addr, *alert),
            Some(Error::InvalidMessage(_)) => DialError::NotTls { addr },
            Some(other) => DialError::Protocol { addr, why: other.to_string() },
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => DialError::Closed { addr },
                _ => DialError::Unreachable { addr, why: error.to_string() },
            },
        }
    }

    fn certificate(&self, why: &CertificateError) -> DialError {
        let addr = self.addr.clone();
        match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => DialError::ForeignCa { addr },
            CertificateError::ExpiredContext { time, not_after } => {
                DialError::Expired { addr, since_s: time.as_secs().saturating_sub(not_after.as_secs()) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                DialError::NotYetValid { addr, behind_s: not_before.as_secs().saturating_sub(time.as_secs()) }
            }
            CertificateError::NotValidForNameContext { presented, .. } => self.name(presented),
            CertificateError::Other(other) => match other.0.downcast_ref::<Refused>() {
                Some(refused) => self.refused(refused),
                None => DialError::BadCertificate { addr, why: other.to_string() },
            },
            other => DialError::BadCertificate { addr, why: unusable(other) },
        }
    }

    fn name(&self, presented: &[String]) -> DialError {
        let addr = self.addr.clone();
        let presented: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
        let presented = presented.join(", ");
        match self.wanted {
            Wanted::Manager => DialError::NotAManager { addr, presented },
            Wanted::Node(expected) => DialError::WrongNode { addr, expected: *expected, presented },
        }
    }

    fn refused(&self, refused: &Refused) -> DialError {
        let addr = self.addr.clone();
        match (refused, self.trust) {
            (Refused::Digest { presented }, Trust::Pinned { digest, .. }) => {
                DialError::DigestMismatch { addr, expected: *digest, presented: *presented }
            }
            (Refused::Cluster { cluster }, _) => DialError::OtherCluster { addr, cluster: *cluster },
            (Refused::Worker { node }, _) => DialError::NotAManager { addr, presented: worker(*node) },
            (other, _) => DialError::BadCertificate { addr, why: other.to_string() },
        }
    }
}

/// A root that was replaced twice vouches for its successor, which must vouch for nobody: that chain is one too long.
fn unusable(why: &CertificateError) -> String {
    let why = why.to_string();
    match why.contains("PathLenConstraintViolated") {
        true => "its root CA is not the successor of the one known here: the root was replaced more than once while this \
                 node was away; unless it is taken back by itself within a minute, `swarmctl leave --force` here and join again"
            .to_owned(),
        false => why,
    }
}

/// webpki tells a name as `DnsName("n1")`.
fn bare(name: &str) -> &str {
    let inside = name.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")"));
    inside.unwrap_or(name)
}

fn worker(node: NodeId) -> String {
    format!("worker {node}")
}

/// What the other side told us before it hung up.
fn alert_received(addr: String, alert: AlertDescription) -> DialError {
    use AlertDescription as A;
    let why = match alert {
        A::CertificateExpired => EXPIRED_THERE,
        A::UnknownCA | A::DecryptError => "it was not issued by that cluster's CA",
        A::CertificateRevoked => "it is revoked",
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown | A::AccessDenied => {
            "it is not valid there"
        }
        other => return DialError::Protocol { addr, why: format!("it answered with the alert {other:?}") },
    };
    DialError::Refused { addr, why: why.to_owned() }
}
