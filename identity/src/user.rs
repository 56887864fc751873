//! A user's own identity: one PEM text with its key, its certificate and the root it trusts.
//! Must not know where it is kept, nor what the user may do.

use crate::key::{KeyError, NodeKey};
use crate::peer::{Holder, PeerError, UserPeer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use zeroize::Zeroizing;

/// A certificate and its chain up to the roots.
const MOST_CERTIFICATES: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserIdentityError {
    #[error("it has no certificate and root in it (PEM): is it a file that `swarmctl user create` made?")]
    Certificates,
    #[error("its certificate cannot be used: {0}")]
    Certificate(#[from] PeerError),
    #[error("its certificate is a node's: a node's identity is of no use to a user")]
    Node,
    #[error("its key cannot be used: {0}")]
    Key(#[from] KeyError),
}

/// Debug shows the user only.
pub struct UserIdentity {
    pub(crate) key: NodeKey,
    /// The user's certificate, then those it was issued under.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    user: UserPeer,
    chain_pem: String,
}

impl UserIdentity {
    /// From a key and what a manager issued for it: the user's certificate, then the root.
    pub fn new(key: NodeKey, chain_pem: &str) -> Result<Self, UserIdentityError> {
        let certs = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).take(MOST_CERTIFICATES);
        let chain: Vec<_> = certs.collect::<Result<_, _>>().map_err(|_| UserIdentityError::Certificates)?;
        let (Some(leaf), true) = (chain.first(), chain.len() > 1) else {
            return Err(UserIdentityError::Certificates);
        };
        let Holder::User(user) = Holder::from_der(leaf)? else { return Err(UserIdentityError::Node) };
        let chain_pem = chain_pem.to_owned();
        Ok(Self { key, chain, user, chain_pem })
    }

    /// As [`UserIdentity::to_pem`] wrote it.
    pub fn from_pem(pem: &str) -> Result<Self, UserIdentityError> {
        Self::new(NodeKey::from_pem(pem.as_bytes())?, pem)
    }

    /// Secret: for a file of its owner alone.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, UserIdentityError> {
        Ok(Zeroizing::new(format!("{}{}", *self.key.to_pem()?, self.chain_pem)))
    }

    pub fn user(&self) -> &UserPeer {
        &self.user
    }

    pub(crate) fn roots(&self) -> &[CertificateDer<'static>] {
        self.chain.get(1..).unwrap_or_default()
    }
}

impl fmt::Debug for UserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserIdentity({:?})", self.user)
    }
}
