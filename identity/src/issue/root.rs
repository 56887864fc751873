//! The cluster's root CA. Knows its key; must not know who may have a certificate.

use super::{CaError, Subject, UserSubject, Validity, external, name, profile, request, trial};
use crate::key::NodeKey;
use crate::peer::to_ms;
use crate::token::CaDigest;
use rcgen::{CertificateParams, Issuer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use swarm_model::ClusterId;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

/// The root CA: an ECDSA P-256 key and its self-signed certificate. The key is wiped when dropped.
pub struct RootCa {
    cert_pem: String,
    cert: CertificateDer<'static>,
    until_ms: u64,
    key: NodeKey,
    /// PEM that goes into chains between a node's certificate and this root.
    beside: String,
}

impl RootCa {
    /// A new CA for a new cluster, valid for 20 years.
    pub fn generate(cluster: ClusterId, now_ms: u64) -> Result<Self, CaError> {
        let key = NodeKey::generate()?;
        let cert = profile::root(cluster, now_ms)?.self_signed(&*key.pair()?)?;
        Self::new(cert.pem(), key)
    }

    /// A new CA for a cluster that has one, under a name of its own.
    pub fn successor(cluster: ClusterId, now_ms: u64) -> Result<Self, CaError> {
        let key = NodeKey::generate()?;
        let cert = profile::successor(cluster, now_ms)?.self_signed(&*key.pair()?)?;
        Self::new(cert.pem(), key)
    }

    /// As an operator hands it over, to issue certificates that are valid for `lifetime_ms`: everything that would make it
    /// useless, now or soon, is refused.
    pub fn external(cert: &str, key: &str, (now_ms, lifetime_ms): (u64, u64)) -> Result<Self, CaError> {
        external::check(cert, now_ms)?;
        let root = Self::from_pem(cert, key)?;
        let left_ms = root.until_ms.saturating_sub(now_ms);
        if left_ms < lifetime_ms {
            return Err(CaError::EndsTooSoon { left_ms, needed_ms: lifetime_ms });
        }
        root.try_out(now_ms, lifetime_ms)?;
        Ok(root)
    }

    /// Refuses a root whose certificates the cluster's own nodes would not take.
    pub fn try_out(&self, now_ms: u64, lifetime_ms: u64) -> Result<(), CaError> {
        trial::try_out(self, now_ms, lifetime_ms)
    }

    /// Puts certificates into the chains this CA answers with, between the node's and its own.
    pub fn with_beside(self, beside: &str) -> Self {
        Self { beside: beside.to_owned(), ..self }
    }

    /// The key and name of another CA, signed by this one: who trusts this one trusts that one by it.
    pub fn cross_sign(&self, other: &Self, now_ms: u64) -> Result<String, CaError> {
        let until_ms = self.until_ms.min(other.until_ms);
        let validity = Validity { until_ms, ..Validity::starting(now_ms, 0) };
        let params = profile::ca(name::of(&other.cert)?, validity)?;
        let pair = self.key.pair()?;
        let issuer = Issuer::from_ca_cert_der(&self.cert, &*pair)?;
        Ok(params.signed_by(&*other.key.pair()?, &issuer)?.pem())
    }

    /// Refuses a key that is not the certificate's, and a certificate that is no CA's.
    pub fn from_pem(cert: &str, key: &str) -> Result<Self, CaError> {
        Self::new(cert.to_owned(), NodeKey::from_pem(key.as_bytes())?)
    }

    fn new(cert_pem: String, key: NodeKey) -> Result<Self, CaError> {
        let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert_pem.as_bytes()).collect();
        let [cert] = certs.ok().and_then(|c| <[_; 1]>::try_from(c).ok()).ok_or(CaError::Certificate)?;
        let until_ms = check(&cert, &key.public_key()?)?;
        Ok(Self { cert_pem, cert, until_ms, key, beside: String::new() })
    }

    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// PEM (PKCS#8). Secret: only for replicated, encrypted state.
    pub fn key_pem(&self) -> Result<Zeroizing<String>, CaError> {
        Ok(self.key.to_pem()?)
    }

    /// What join tokens carry.
    pub fn digest(&self) -> CaDigest {
        CaDigest::of_certificate(&self.cert)
    }

    /// Signs the key of a request (PKCS#10, DER) for `subject`, whatever the request calls itself. The certificate
    /// never outlives the root's own. Answers PEM: the node's certificate, then the root.
    pub fn sign(&self, csr_der: &[u8], subject: &Subject, validity: Validity) -> Result<String, CaError> {
        self.issue(csr_der, validity, |validity| profile::node(subject, validity))
    }

    /// As [`RootCa::sign`], for a user: a certificate that no node can have.
    pub fn sign_user(
        &self,
        csr_der: &[u8],
        subject: &UserSubject,
        validity: Validity,
    ) -> Result<String, CaError> {
        self.issue(csr_der, validity, |validity| profile::user(subject, validity))
    }

    fn issue(
        &self,
        csr_der: &[u8],
        validity: Validity,
        profile: impl FnOnce(Validity) -> Result<CertificateParams, CaError>,
    ) -> Result<String, CaError> {
        let public_key = request::public_key(csr_der)?;
        if self.until_ms <= validity.from_ms {
            return Err(CaError::RootExpired { since_s: (validity.from_ms - self.until_ms) / 1_000 });
        }
        let validity = Validity { until_ms: validity.until_ms.min(self.until_ms), ..validity };
        let pair = self.key.pair()?;
        let issuer = Issuer::from_ca_cert_der(&self.cert, &*pair)?;
        let leaf = profile(validity)?.signed_by(&public_key, &issuer)?;
        Ok(format!("{}{}{}", leaf.pem(), self.beside, self.cert_pem))
    }
}

/// The end of the certificate's validity, if it is a CA's with this public key.
fn check(cert: &CertificateDer<'_>, public_key: &[u8]) -> Result<u64, CaError> {
    let (rest, parsed) = X509Certificate::from_der(cert).map_err(|_| CaError::Certificate)?;
    if !rest.is_empty() {
        return Err(CaError::Certificate);
    }
    if !parsed.is_ca() {
        return Err(CaError::NotACa);
    }
    if parsed.public_key().subject_public_key.data.as_ref() != public_key {
        return Err(CaError::KeyMismatch);
    }
    Ok(to_ms(parsed.validity().not_after.timestamp()))
}

impl fmt::Debug for RootCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCa({})", self.digest())
    }
}
