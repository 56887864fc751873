//! What a certificate says of its holder. Must not know whether the certificate may be trusted.

use serde::{Deserialize, Serialize};
use swarm_model::{ClusterId, NodeId, Role, UserId};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

/// OU of users' certificates; nodes have `swarm-worker` or `swarm-manager`.
pub(crate) const USER_UNIT: &str = "swarm-user";

/// A member of a cluster, as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// CN.
    pub node: NodeId,
    /// OU.
    pub role: Role,
    /// O.
    pub cluster: ClusterId,
    /// End of the certificate's validity, milliseconds since the epoch.
    pub expires_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("not a certificate (X.509, DER)")]
    Encoding,
    #[error("the certificate has {found} {field} fields in its subject where 1 is expected")]
    Count { field: &'static str, found: usize },
    #[error("the certificate's {field} is {found:?}, which is not {expected}")]
    Field { field: &'static str, found: String, expected: &'static str },
}

impl Peer {
    pub fn from_der(der: &[u8]) -> Result<Self, PeerError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::Encoding)?;
        if !rest.is_empty() {
            return Err(PeerError::Encoding);
        }
        Self::from_certificate(&certificate)
    }

    pub(crate) fn from_certificate(certificate: &X509Certificate<'_>) -> Result<Self, PeerError> {
        let subject = certificate.subject();
        let cn = single("CN", subject.iter_common_name())?;
        let ou = single("OU", subject.iter_organizational_unit())?;
        let o = single("O", subject.iter_organization())?;
        Ok(Self {
            node: cn.parse().map_err(|_| field("CN", cn, "a node id"))?,
            role: Role::from_organizational_unit(ou)
                .ok_or_else(|| field("OU", ou, "swarm-worker or swarm-manager"))?,
            cluster: o.parse().map_err(|_| field("O", o, "a cluster id"))?,
            expires_ms: to_ms(certificate.validity().not_after.timestamp()),
        })
    }
}

/// A user of a cluster, as the certificate names it. A type of its own: a user is never taken for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPeer {
    /// CN.
    pub user: UserId,
    /// O.
    pub cluster: ClusterId,
    /// End of the certificate's validity, milliseconds since the epoch.
    pub expires_ms: u64,
}

/// Whose certificate it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Node(Peer),
    User(UserPeer),
}

impl Holder {
    pub fn from_der(der: &[u8]) -> Result<Self, PeerError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::Encoding)?;
        if !rest.is_empty() {
            return Err(PeerError::Encoding);
        }
        let subject = certificate.subject();
        if single("OU", subject.iter_organizational_unit())? != USER_UNIT {
            return Peer::from_certificate(&certificate).map(Self::Node);
        }
        let cn = single("CN", subject.iter_common_name())?;
        let o = single("O", subject.iter_organization())?;
        Ok(Self::User(UserPeer {
            user: cn.parse().map_err(|_| field("CN", cn, "a user id"))?,
            cluster: o.parse().map_err(|_| field("O", o, "a cluster id"))?,
            expires_ms: to_ms(certificate.validity().not_after.timestamp()),
        }))
    }

    pub fn cluster(&self) -> ClusterId {
        match self {
            Self::Node(peer) => peer.cluster,
            Self::User(user) => user.cluster,
        }
    }

    pub fn expires_ms(&self) -> u64 {
        match self {
            Self::Node(peer) => peer.expires_ms,
            Self::User(user) => user.expires_ms,
        }
    }
}

/// Seconds since the epoch to milliseconds; times before the epoch are the epoch.
pub(crate) fn to_ms(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000)
}

/// A subject with two names would be two identities: whoever reads the other one is deceived.
fn single<'a>(
    field: &'static str,
    mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
) -> Result<&'a str, PeerError> {
    match (values.next(), values.count()) {
        (None, _) => Err(PeerError::Count { field, found: 0 }),
        (Some(value), 0) => value.as_str().map_err(|_| PeerError::Encoding),
        (Some(_), more) => Err(PeerError::Count { field, found: more + 1 }),
    }
}

fn field(field: &'static str, found: &str, expected: &'static str) -> PeerError {
    PeerError::Field { field, found: found.chars().take(64).collect(), expected }
}
