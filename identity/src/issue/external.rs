//! Whether a root certificate from outside will do, beyond what holds for our own. Must not know its key.

use super::CaError;
use crate::peer::to_ms;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

/// Certificates that are counted before reading on is no use.
const MOST: usize = 64;

pub(super) fn check(pem: &str, now_ms: u64) -> Result<(), CaError> {
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).take(MOST).collect();
    let certs = certs.map_err(|_| CaError::Certificate)?;
    let [cert] = certs.as_slice() else {
        return Err(match certs.len() {
            0 => CaError::Certificate,
            found => CaError::Several { found },
        });
    };
    let (_, cert) = X509Certificate::from_der(cert).map_err(|_| CaError::Certificate)?;
    if cert.subject() != cert.issuer() || cert.verify_signature(None).is_err() {
        return Err(CaError::NotSelfSigned { issuer: cert.issuer().to_string().chars().take(128).collect() });
    }
    let until_ms = to_ms(cert.validity().not_after.timestamp());
    let from_ms = to_ms(cert.validity().not_before.timestamp());
    if until_ms <= now_ms {
        return Err(CaError::RootExpired { since_s: (now_ms - until_ms) / 1_000 });
    }
    if from_ms > now_ms {
        return Err(CaError::RootNotYetValid { in_s: (from_ms - now_ms).div_ceil(1_000) });
    }
    usages(&cert)
}

/// What the certificate itself says it is for. Verifiers look at it in a root or do not: none shall have a reason.
fn usages(cert: &X509Certificate<'_>) -> Result<(), CaError> {
    use ParsedExtension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints};
    for extension in cert.extensions() {
        match extension.parsed_extension() {
            KeyUsage(usage) if !usage.key_cert_sign() => {
                return Err(CaError::Usage { what: "at all: its key usage does not say so" });
            }
            ExtendedKeyUsage(usage) if !(usage.any || usage.server_auth && usage.client_auth) => {
                return Err(CaError::Usage {
                    what: "of servers and of clients: its extended key usage does not say both",
                });
            }
            // The names are tried out.
            BasicConstraints(_) | ExtendedKeyUsage(_) | KeyUsage(_) | NameConstraints(_) => {}
            _ if extension.critical => return Err(CaError::Extension { oid: extension.oid.to_id_string() }),
            _ => {}
        }
    }
    Ok(())
}
