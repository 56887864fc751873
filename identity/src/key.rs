//! Private keys (ECDSA P-256): made here, wiped when dropped, never shown. Must not know whose they are.
//!
//! What is wiped are our own copies. ring keeps its parsed form of a key in memory it does not wipe.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt;
use zeroize::Zeroizing;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the private key is not PEM of type PRIVATE KEY (PKCS#8)")]
    Pem,
    #[error("the private key is not an ECDSA P-256 key")]
    NotP256,
    #[error("could not make a private key: {0}")]
    Make(String),
}

/// A node's private key. It never leaves the node.
pub struct NodeKey {
    pkcs8: Zeroizing<Vec<u8>>,
}

/// A new key and a signing request (PKCS#10, DER) for it. The request names nobody: its subject would be ignored.
pub fn new_key_and_csr() -> Result<(NodeKey, Vec<u8>), KeyError> {
    let key = NodeKey::generate()?;
    let csr = key.csr()?;
    Ok((key, csr))
}

impl NodeKey {
    pub fn generate() -> Result<Self, KeyError> {
        let pair = Zeroizing::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)?);
        Ok(Self { pkcs8: Zeroizing::new(pair.serialize_der()) })
    }

    /// A signing request (PKCS#10, DER) for this key.
    pub fn csr(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(&*self.pair()?).map_err(make)?;
        Ok(request.der().to_vec())
    }

    /// As [`NodeKey::to_pem`] wrote it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::Pem)?;
        let key = Self { pkcs8: Zeroizing::new(der.secret_pkcs8_der().to_vec()) };
        key.pair()?;
        Ok(key)
    }

    /// PEM (PKCS#8). Secret: for a file of its owner alone.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        Ok(Zeroizing::new(self.pair()?.serialize_pem()))
    }

    /// The uncompressed point, as it stands in a certificate.
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, KeyError> {
        Ok(self.pair()?.der_bytes().to_vec())
    }

    pub(crate) fn pair(&self) -> Result<Zeroizing<KeyPair>, KeyError> {
        let der = PrivatePkcs8KeyDer::from(self.pkcs8.as_slice());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256);
        pair.map(Zeroizing::new).map_err(|_| KeyError::NotP256)
    }

    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The same key once more, for the same node under other roots.
    pub(crate) fn again(&self) -> Self {
        Self { pkcs8: self.pkcs8.clone() }
    }

    /// For rustls, which takes a copy of its own.
    pub(crate) fn for_tls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.to_vec()))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(…)")
    }
}

fn make(error: rcgen::Error) -> KeyError {
    KeyError::Make(error.to_string())
}
