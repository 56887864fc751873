//! Whether a server's certificate is that of the manager meant. Must not know how it was reached.

use super::{provider, roots};
use crate::peer::{Peer, PeerError};
use crate::token::CaDigest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, RootCertStore,
    SignatureScheme,
};
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{ClusterId, NodeId, Role};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a certificate that may well be valid is not the one wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no certificate of the chain has the expected digest")]
    Digest { presented: Option<CaDigest> },
    #[error("the certificate is of cluster {cluster}")]
    Cluster { cluster: ClusterId },
    #[error("the certificate is that of worker {node}")]
    Worker { node: NodeId },
    #[error(transparent)]
    Subject(#[from] PeerError),
}

#[derive(Debug)]
enum Trust {
    /// Members: the cluster's roots, and the cluster's id in the certificate.
    Cluster { inner: Arc<WebPkiServerVerifier>, cluster: ClusterId },
    /// Joiners: they hold no root, only the digest of it; the server shows the root in its chain.
    Pinned(CaDigest),
    /// As above, at whatever time the certificate began: for who is to be asked for the time and told nothing.
    PinnedAtAnyTime(CaDigest),
}

/// Chain, validity and name by webpki; then role and cluster, which webpki does not know.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn cluster(store: Arc<RootCertStore>, cluster: ClusterId) -> Result<Self, Error> {
        let trust = Trust::Cluster { inner: webpki(store)?, cluster };
        Ok(Self { trust, algorithms: provider().signature_verification_algorithms })
    }

    pub(super) fn pinned(digest: CaDigest) -> Self {
        Self { trust: Trust::Pinned(digest), algorithms: provider().signature_verification_algorithms }
    }

    pub(super) fn pinned_at_any_time(digest: CaDigest) -> Self {
        let trust = Trust::PinnedAtAnyTime(digest);
        Self { trust, algorithms: provider().signature_verification_algorithms }
    }
}

/// A moment at which this certificate holds.
fn when_valid(leaf: &CertificateDer<'_>) -> Result<UnixTime, Error> {
    let (_, cert) = X509Certificate::from_der(leaf).map_err(|_| refuse(PeerError::Encoding.into()))?;
    let from_s = u64::try_from(cert.validity().not_before.timestamp()).unwrap_or(0);
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(from_s)))
}

fn webpki(store: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(store, provider())
        .build()
        .map_err(|e| Error::General(e.to_string()))
}

fn refuse(why: Refused) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

/// A verifier that trusts the one certificate of `chain` that has `digest`, and nothing else.
fn pinned(digest: &CaDigest, chain: &[CertificateDer<'_>]) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let Some(root) = chain.iter().find(|cert| CaDigest::of_certificate(cert) == *digest) else {
        let presented = chain.last().map(|cert| CaDigest::of_certificate(cert));
        return Err(refuse(Refused::Digest { presented }));
    };
    webpki(roots(&[root.clone().into_owned()])?)
}

/// The role and cluster of a certificate that is otherwise in order.
fn check_subject(leaf: &CertificateDer<'_>, ours: Option<ClusterId>) -> Result<(), Refused> {
    let peer = Peer::from_der(leaf)?;
    match ours {
        Some(ours) if ours != peer.cluster => Err(Refused::Cluster { cluster: peer.cluster }),
        _ if peer.role != Role::Manager => Err(Refused::Worker { node: peer.node }),
        _ => Ok(()),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (webpki, ours) = match &self.trust {
            Trust::Cluster { inner, cluster } => (inner.clone(), Some(*cluster)),
            Trust::Pinned(digest) | Trust::PinnedAtAnyTime(digest) => (pinned(digest, chain)?, None),
        };
        let now = match &self.trust {
            Trust::PinnedAtAnyTime(_) => when_valid(leaf)?,
            Trust::Cluster { .. } | Trust::Pinned(_) => now,
        };
        webpki.verify_server_cert(leaf, chain, name, ocsp, now)?;
        check_subject(leaf, ours).map_err(refuse)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Not reached: the configuration speaks TLS 1.3 only.
        Err(PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
