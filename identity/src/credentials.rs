//! The identity in use, replaceable while everything runs. Must not know who dials or listens with it.

use crate::issue::Validity;
use crate::key::KeyError;
use crate::node::{IdentityError, NodeIdentity};
use crate::peer::Peer;
use crate::tls;
use crate::token::CaDigest;
use arc_swap::ArcSwap;
use rustls::{ClientConfig, ServerConfig};
use std::fmt;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CredentialsError {
    #[error("the identity cannot be used for TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the new certificate is that of node {given} while this node is {ours}")]
    OtherNode { ours: swarm_model::NodeId, given: swarm_model::NodeId },
    #[error("the new certificate is of cluster {given} while this node belongs to {ours}")]
    OtherCluster { ours: swarm_model::ClusterId, given: swarm_model::ClusterId },
}

/// This node's credentials. Clones share them: who dials or accepts after `replace` uses the new ones, connections
/// that are open stay as they are.
#[derive(Clone)]
pub struct Credentials {
    current: Arc<ArcSwap<Current>>,
}

struct Current {
    identity: NodeIdentity,
    server: Arc<ServerConfig>,
    member: Arc<ClientConfig>,
    nameless: Arc<ClientConfig>,
}

impl Current {
    fn new(identity: NodeIdentity) -> Result<Arc<Self>, CredentialsError> {
        let server = Arc::new(tls::server(&identity)?);
        let member = Arc::new(tls::member(&identity)?);
        let nameless = Arc::new(tls::nameless(&identity)?);
        Ok(Arc::new(Self { identity, server, member, nameless }))
    }
}

impl Credentials {
    pub fn new(identity: NodeIdentity) -> Result<Self, CredentialsError> {
        Ok(Self { current: Arc::new(ArcSwap::new(Current::new(identity)?)) })
    }

    /// Takes a renewed certificate of the same node: another key, role or root, but no other node or cluster.
    /// On an error the old ones stay.
    pub fn replace(&self, identity: NodeIdentity) -> Result<(), CredentialsError> {
        let (ours, new) = (self.peer(), identity.peer());
        if new.node != ours.node {
            return Err(CredentialsError::OtherNode { ours: ours.node, given: new.node });
        }
        if new.cluster != ours.cluster {
            return Err(CredentialsError::OtherCluster { ours: ours.cluster, given: new.cluster });
        }
        self.current.store(Current::new(identity)?);
        Ok(())
    }

    /// This node, as its certificate names it.
    pub fn peer(&self) -> Peer {
        self.current.load().identity.peer().clone()
    }

    pub fn validity(&self) -> Validity {
        self.current.load().identity.validity()
    }

    /// Digest of the root CA, for join tokens.
    pub fn ca_digest(&self) -> CaDigest {
        self.current.load().identity.ca_digest()
    }

    /// The root that has issued the certificate in use, if it is one of those trusted.
    pub fn issuing_root(&self) -> Option<CaDigest> {
        self.current.load().identity.issuing_root()
    }

    /// When the root CA ends that issues new certificates.
    pub fn root_until_ms(&self) -> Option<u64> {
        self.current.load().identity.root_until_ms()
    }

    /// The identity in use, trusting these roots (PEM) instead.
    pub fn with_roots(&self, root_pem: &str) -> Result<NodeIdentity, IdentityError> {
        self.current.load().identity.with_roots(root_pem)
    }

    /// For a renewal by the key of a certificate that has run out: its chain, and the proof.
    pub fn prove(&self, csr_der: &[u8]) -> Result<(String, Vec<u8>), KeyError> {
        let current = self.current.load();
        Ok((current.identity.chain_pem().to_owned(), current.identity.prove(csr_der)?))
    }

    /// PEM: every root trusted.
    pub fn root_ca_pem(&self) -> String {
        self.current.load().identity.root_pem().to_owned()
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.current.load().server.clone()
    }

    pub(crate) fn nameless_config(&self) -> Arc<ClientConfig> {
        self.current.load().nameless.clone()
    }

    pub(crate) fn member_config(&self) -> Arc<ClientConfig> {
        self.current.load().member.clone()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?})", self.peer())
    }
}
