//! Signing requests: of all a request says, its public key is taken. Must not know the CA.

use super::CaError;
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

/// A request for a P-256 key is about 200 bytes; more has no business here.
const MOST_BYTES: usize = 4_096;

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
