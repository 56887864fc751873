//! Signing requests: of all a request says, its public key is taken. Must not know the CA.

use super::CaError;
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use ring::digest;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

/// A request for a P-256 key is about 200 bytes; more has no business here.
const MOST_BYTES: usize = 4_096;
/// So that the digest is one of nothing else.
const CONTEXT: &[u8] = b"swarm: a request and the key it is for\0";

/// Stands for `what` together with the key of this request: for ids of requests, so that only who has asked can ask again.
pub fn tied_to_key(what: &str, csr_der: &[u8]) -> Result<[u8; 16], CaError> {
    let key = public_key(csr_der)?;
    let mut context = digest::Context::new(&digest::SHA256);
    [CONTEXT, what.as_bytes(), b"\0", key.der_bytes()].into_iter().for_each(|part| context.update(part));
    let mut tied = [0; 16];
    tied.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    Ok(tied)
}

/// The key of a request that proves its possession. Subject, names and extensions asked for are not looked at.
pub(super) fn public_key(csr_der: &[u8]) -> Result<SubjectPublicKeyInfo, CaError> {
    if csr_der.len() > MOST_BYTES {
        return Err(CaError::RequestTooLarge { bytes: csr_der.len(), most: MOST_BYTES });
    }
    let (rest, request) =
        X509CertificationRequest::from_der(csr_der).map_err(|_| CaError::RequestEncoding)?;
    if !rest.is_empty() {
        return Err(CaError::RequestEncoding);
    }
    let spki = request.certification_request_info.subject_pki.raw;
    let key = SubjectPublicKeyInfo::from_der(spki).map_err(|_| CaError::RequestKey)?;
    if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(CaError::RequestKey);
    }
    request.verify_signature().map_err(|_| CaError::RequestSignature)?;
    Ok(key)
}
