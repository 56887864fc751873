//! Renewal with a certificate that has run out: TLS takes it no more, so its holder shows it beside the request, with a
//! signature of its key. Knows what is signed and checked; must not know how long after its end that is good enough.

use crate::key::{KeyError, NodeKey};
use crate::node::{NodeIdentity, certificates, find_path};
use crate::peer::Peer;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// So that the signature is good for nothing else.
const CONTEXT: &[u8] = b"swarm: renewal of an expired certificate, by its key\0";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("the certificate shown is not PEM, or not one of a node")]
    Certificate,
    #[error("the certificate shown was not issued by this cluster's CA")]
    NotOurs,
    #[error("the request is not signed by the key of the certificate shown")]
    Signature,
}

impl NodeIdentity {
    /// That whoever sends this request holds the key of this identity.
    pub fn prove(&self, csr_der: &[u8]) -> Result<Vec<u8>, KeyError> {
        sign(&self.key, csr_der)
    }
}

fn sign(key: &NodeKey, csr_der: &[u8]) -> Result<Vec<u8>, KeyError> {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.pkcs8(), &random);
    let signature = pair.map_err(|_| KeyError::NotP256)?.sign(&random, &message(csr_der));
    Ok(signature.map_err(|e| KeyError::Make(e.to_string()))?.as_ref().to_vec())
}

/// Whose request this is, if it is signed by the key of a certificate that leads to one of these roots (PEM). Its end is not
/// looked at.
pub fn prover(chain_pem: &str, roots_pem: &str, csr_der: &[u8], proof: &[u8]) -> Result<Peer, ProofError> {
    let chain = certificates(chain_pem, "").map_err(|_| ProofError::Certificate)?;
    let roots = certificates(roots_pem, "").map_err(|_| ProofError::NotOurs)?;
    let leaf = chain.first().ok_or(ProofError::Certificate)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| ProofError::Certificate)?;
    if leaf.is_ca() || !find_path(&leaf, &chain, &roots) {
        return Err(ProofError::NotOurs);
    }
    let peer = Peer::from_certificate(&leaf).map_err(|_| ProofError::Certificate)?;
    let key = leaf.public_key().subject_public_key.data.as_ref();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
    key.verify(&message(csr_der), proof).map_err(|_| ProofError::Signature)?;
    Ok(peer)
}

fn message(csr_der: &[u8]) -> Vec<u8> {
    [CONTEXT, csr_der].concat()
}
