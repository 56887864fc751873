//! A node's own identity: its key, its certificate and the roots it trusts, checked to belong together.
//! Must not know where they are kept, nor whether the clock says they are still valid.

use crate::issue::Validity;
use crate::key::{KeyError, NodeKey};
use crate::peer::{Peer, PeerError, to_ms};
use crate::token::CaDigest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates in one PEM text; ours has two.
const MOST_CERTIFICATES: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("{what} is not PEM with 1 to {MOST_CERTIFICATES} certificates")]
    Pem { what: &'static str },
    #[error("the node's certificate cannot be used: {0}")]
    Certificate(#[from] PeerError),
    #[error("the node's key cannot be used: {0}")]
    Key(#[from] KeyError),
    #[error("the node's key does not belong to its certificate")]
    KeyMismatch,
    #[error("the node's certificate was not issued by the cluster's root CA")]
    NotIssuedByRoot,
    #[error("the certificate was issued by another CA than the one the join token names (digest {expected})")]
    OtherRoot { expected: CaDigest },
}

/// Key, chain and roots of one node. Debug shows the peer only.
pub struct NodeIdentity {
    pub(crate) key: NodeKey,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) roots: Vec<CertificateDer<'static>>,
    chain_pem: String,
    root_pem: String,
    peer: Peer,
    validity: Validity,
}

impl NodeIdentity {
    /// From a key and PEM texts: the chain (node's certificate, then the root) and the roots to trust.
    /// An expired certificate is accepted: whoever uses it says so better.
    pub fn new(key: NodeKey, chain_pem: &str, root_pem: &str) -> Result<Self, IdentityError> {
        let chain = certificates(chain_pem, "the certificate chain")?;
        let roots = certificates(root_pem, "the root CA file")?;
        let leaf = chain.first().ok_or(IdentityError::Pem { what: "the certificate chain" })?;
        let (peer, validity) = check(leaf, (&chain, &roots), &key.public_key()?)?;
        let (chain_pem, root_pem) = (chain_pem.to_owned(), root_pem.to_owned());
        Ok(Self { key, chain, roots, chain_pem, root_pem, peer, validity })
    }

    /// From what a manager issued in answer to a join token: the root is the chain's certificate with `digest`.
    pub fn issued(key: NodeKey, chain_pem: &str, digest: &CaDigest) -> Result<Self, IdentityError> {
        let root = certificates(chain_pem, "the certificate chain")?
            .into_iter()
            .skip(1)
            .find(|cert| CaDigest::of_certificate(cert) == *digest)
            .ok_or(IdentityError::OtherRoot { expected: *digest })?;
        Self::new(key, chain_pem, &to_pem(&root))
    }

    /// The same key and certificate, trusting these roots (PEM) from now on.
    pub fn with_roots(&self, root_pem: &str) -> Result<Self, IdentityError> {
        Self::new(self.key.again(), &self.chain_pem, root_pem)
    }

    /// The root that has issued the certificate itself, without another CA between. Of two with one name and key, of which
    /// the one prolongs the other, it is the later one.
    pub fn issuing_root(&self) -> Option<CaDigest> {
        let leaf = self.chain.first()?;
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        let mut latest_first = self.roots.iter().rev();
        latest_first.find(|root| is_issued_by(&leaf, root)).map(|root| CaDigest::of_certificate(root))
    }

    /// When the root ends that issues new certificates: the last of those trusted.
    pub fn root_until_ms(&self) -> Option<u64> {
        let (_, root) = X509Certificate::from_der(self.roots.last()?).ok()?;
        Some(to_ms(root.validity().not_after.timestamp()))
    }

    /// What is shown to a server: the certificate and whatever CA stands between it and a root.
    pub(crate) fn client_chain(&self) -> Vec<CertificateDer<'static>> {
        let between = |cert: &&CertificateDer<'_>| match X509Certificate::from_der(cert) {
            Ok((_, cert)) => cert.subject() != cert.issuer(),
            Err(_) => false,
        };
        let (leaf, others) = (self.chain.iter().take(1), self.chain.iter().skip(1));
        leaf.chain(others.filter(between)).cloned().collect()
    }

    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// PEM: the node's certificate, then the root.
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// PEM.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Digest of the (first) root, as join tokens carry it.
    pub fn ca_digest(&self) -> CaDigest {
        CaDigest::of_certificate(self.roots.first().map(AsRef::as_ref).unwrap_or_default())
    }
}

pub(crate) fn certificates(
    pem: &str,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let certs: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).take(MOST_CERTIFICATES + 1).collect();
    match certs {
        Ok(certs) if (1..=MOST_CERTIFICATES).contains(&certs.len()) => Ok(certs),
        _ => Err(IdentityError::Pem { what }),
    }
}

fn check(
    leaf: &CertificateDer<'_>,
    (chain, roots): (&[CertificateDer<'_>], &[CertificateDer<'_>]),
    public_key: &[u8],
) -> Result<(Peer, Validity), IdentityError> {
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| PeerError::Encoding)?;
    let peer = Peer::from_certificate(&leaf)?;
    if leaf.public_key().subject_public_key.data.as_ref() != public_key {
        return Err(IdentityError::KeyMismatch);
    }
    if !find_path(&leaf, chain, roots) {
        return Err(IdentityError::NotIssuedByRoot);
    }
    let from_ms = to_ms(leaf.validity().not_before.timestamp());
    let until_ms = peer.expires_ms;
    Ok((peer, Validity { from_ms, until_ms }))
}

/// Whether a root has issued this certificate, or a CA of the chain which a root has issued. Times are not looked at.
pub(crate) fn find_path(
    leaf: &X509Certificate<'_>,
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
) -> bool {
    let is_root = |cert: &X509Certificate<'_>| roots.iter().any(|root| is_issued_by(cert, root));
    let crosses = |between: &CertificateDer<'_>| {
        is_issued_by(leaf, between)
            && X509Certificate::from_der(between).is_ok_and(|(_, cert)| cert.is_ca() && is_root(&cert))
    };
    is_root(leaf) || chain.iter().skip(1).any(crosses)
}

fn is_issued_by(cert: &X509Certificate<'_>, issuer: &CertificateDer<'_>) -> bool {
    match X509Certificate::from_der(issuer) {
        // By its name too, as TLS has it: the same key may stand under another one.
        Ok((_, issuer)) => {
            cert.issuer().as_raw() == issuer.subject().as_raw()
                && cert.verify_signature(Some(issuer.public_key())).is_ok()
        }
        Err(_) => false,
    }
}

fn to_pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|c| char::from(*c)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeIdentity({:?})", self.peer)
    }
}
