//! rustls configurations of both sides: TLS 1.3 with ring, ALPN h2, nothing ever resumed.
//! Knows what a certificate must show; must not know sockets.

mod verify;

pub(crate) use verify::{Refused, Verifier};

use crate::node::NodeIdentity;
use crate::token::CaDigest;
use crate::user::UserIdentity;
use crate::{MANAGER_NAME, node_name};
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;

pub(crate) const ALPN: &[u8] = b"h2";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Answers callers with a certificate of our CA, and callers with none: those may still ask to be admitted.
pub(crate) fn server(identity: &NodeIdentity) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients(identity)?)
        .with_single_cert(identity.chain.clone(), identity.key.for_tls())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session skips the client certificate: see the head of the crate.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

/// Shows our certificate, and takes managers of our cluster.
pub(crate) fn member(identity: &NodeIdentity) -> Result<ClientConfig, rustls::Error> {
    let verifier = Verifier::cluster(roots(&identity.roots)?, identity.peer().cluster)?;
    let config = client(verifier)?.with_client_auth_cert(identity.client_chain(), identity.key.for_tls())?;
    Ok(finish(config))
}

/// Shows nothing, and takes managers of our cluster: for a node whose certificate has run out.
pub(crate) fn nameless(identity: &NodeIdentity) -> Result<ClientConfig, rustls::Error> {
    let verifier = Verifier::cluster(roots(&identity.roots)?, identity.peer().cluster)?;
    Ok(finish(client(verifier)?.with_no_client_auth()))
}

/// Shows a user's certificate, and takes managers of its cluster.
pub(crate) fn user(identity: &UserIdentity) -> Result<ClientConfig, rustls::Error> {
    let verifier = Verifier::cluster(roots(identity.roots())?, identity.user().cluster)?;
    let leaf = identity.chain.iter().take(1).cloned().collect();
    let config = client(verifier)?.with_client_auth_cert(leaf, identity.key.for_tls())?;
    Ok(finish(config))
}

/// Shows nothing, and takes a manager whose chain ends in the root with this digest.
pub(crate) fn joiner(digest: CaDigest) -> Result<ClientConfig, rustls::Error> {
    Ok(finish(client(Verifier::pinned(digest))?.with_no_client_auth()))
}

/// As `joiner`, whatever this host's clock says of the certificate.
pub(crate) fn joiner_at_any_time(digest: CaDigest) -> Result<ClientConfig, rustls::Error> {
    Ok(finish(client(Verifier::pinned_at_any_time(digest))?.with_no_client_auth()))
}

type WantsCertificate = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client(verifier: Verifier) -> Result<WantsCertificate, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

fn finish(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

/// Whether a node of the same cluster takes this one for the manager it has dialled, under each name it may go by.
pub(crate) fn takes_server(identity: &NodeIdentity, at: UnixTime) -> Result<(), rustls::Error> {
    let verifier = Verifier::cluster(roots(&identity.roots)?, identity.peer().cluster)?;
    let (leaf, above) = split(&identity.chain)?;
    for name in [MANAGER_NAME.to_owned(), node_name(identity.peer().node)] {
        let name = ServerName::try_from(name).map_err(|e| rustls::Error::General(e.to_string()))?;
        verifier.verify_server_cert(leaf, above, &name, &[], at)?;
    }
    Ok(())
}

/// Whether a manager with this identity takes whoever shows this chain.
pub(crate) fn takes_client(
    chain: &[CertificateDer<'_>],
    manager: &NodeIdentity,
    at: UnixTime,
) -> Result<(), rustls::Error> {
    let (leaf, above) = split(chain)?;
    clients(manager)?.verify_client_cert(leaf, above, at).map(drop)
}

fn split<'a, 'c>(
    chain: &'a [CertificateDer<'c>],
) -> Result<(&'a CertificateDer<'c>, &'a [CertificateDer<'c>]), rustls::Error> {
    chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)
}

fn clients(identity: &NodeIdentity) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    WebPkiClientVerifier::builder_with_provider(roots(&identity.roots)?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|e| rustls::Error::General(e.to_string()))
}

pub(crate) fn roots(certs: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut store = RootCertStore::empty();
    certs.iter().try_for_each(|cert| store.add(cert.clone()))?;
    Ok(Arc::new(store))
}
