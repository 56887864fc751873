//! What the CA signs, and what it refuses to.

use crate::world::{Cluster, DAY_MS, now_ms};
use rcgen::{CertificateParams, CustomExtension, DnType, IsCa, KeyPair, PKCS_ECDSA_P384_SHA384, SanType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use swarm_identity::{
    CaDigest, CaError, IdentityError, MANAGER_NAME, NodeIdentity, NodeKey, Peer, RootCa, Validity,
    new_key_and_csr, node_name, random,
};
use swarm_model::Role;
use x509_parser::prelude::{FromDer, X509Certificate};

fn certs(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("PEM")
}

fn dns_names(cert: &X509Certificate<'_>) -> Vec<String> {
    let san = cert.subject_alternative_name().expect("readable").expect("names");
    san.value.general_names.iter().map(|name| name.to_string()).collect()
}

fn valid() -> Validity {
    Validity::starting(now_ms(), DAY_MS)
}

#[test]
fn a_certificate_says_who_what_and_where_it_belongs() {
    let cluster = Cluster::new();
    for role in [Role::Worker, Role::Manager] {
        let subject = cluster.subject(role);
        let (_, csr) = new_key_and_csr().expect("a key");
        let now = now_ms();
        let pem = cluster.ca.sign(&csr, &subject, Validity::starting(now, DAY_MS)).expect("signed");
        let chain = certs(&pem);
        assert_eq!(chain.len(), 2, "the node's certificate, then the root");
        assert_eq!(CaDigest::of_certificate(&chain[1]), cluster.ca.digest());

        let peer = Peer::from_der(&chain[0]).expect("ours");
        assert_eq!((peer.node, peer.role, peer.cluster), (subject.node, role, cluster.id));
        assert_eq!(peer.expires_ms / 1_000, (now + DAY_MS) / 1_000);

        let (_, cert) = X509Certificate::from_der(&chain[0]).expect("X.509");
        let from = cert.validity().not_before.timestamp() as u64;
        assert_eq!(from, (now - 3_600_000) / 1_000, "backdated by an hour");
        let mut names = vec![format!("DNSName({})", node_name(subject.node))];
        names.extend((role == Role::Manager).then(|| format!("DNSName({MANAGER_NAME})")));
        assert_eq!(dns_names(&cert), names);
        let usage = cert.extended_key_usage().expect("readable").expect("there").value;
        assert!(usage.client_auth && usage.server_auth && !usage.any);
        assert!(!cert.is_ca());
    }
}

/// A worker that asks to be somebody else is still who the manager says it is.
#[test]
fn subject_and_extensions_of_a_request_are_ignored() {
    let cluster = Cluster::new();
    let key = KeyPair::generate().expect("a key");
    let mut asked = CertificateParams::new(vec![MANAGER_NAME.to_owned()]).expect("params");
    asked.distinguished_name.push(DnType::CommonName, random::new_id::<()>().to_string());
    asked.distinguished_name.push(DnType::OrganizationalUnitName, "swarm-manager");
    asked.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    asked.subject_alt_names.push(SanType::DnsName("evil.example".try_into().expect("a name")));
    asked.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]));
    let csr = asked.serialize_request(&key).expect("a request").der().to_vec();

    let subject = cluster.subject(Role::Worker);
    let chain = certs(&cluster.ca.sign(&csr, &subject, valid()).expect("signed"));
    let peer = Peer::from_der(&chain[0]).expect("ours");
    assert_eq!((peer.node, peer.role), (subject.node, Role::Worker));
    let (_, cert) = X509Certificate::from_der(&chain[0]).expect("X.509");
    assert_eq!(dns_names(&cert), [format!("DNSName({})", node_name(subject.node))]);
    assert!(!cert.is_ca());
    assert!(cert.extensions().iter().all(|e| e.oid.to_id_string() != "1.2.3.4"));
}

#[test]
fn only_p256_requests_that_prove_their_key_are_signed() {
    let cluster = Cluster::new();
    let refused =
        |csr: &[u8]| cluster.ca.sign(csr, &cluster.subject(Role::Worker), valid()).expect_err("refused");
    assert_eq!(refused(&rsa_request()), CaError::RequestKey);

    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
    let csr = CertificateParams::default().serialize_request(&p384).expect("a request");
    assert_eq!(refused(csr.der()), CaError::RequestKey);

    let (_, mut csr) = new_key_and_csr().expect("a key");
    assert_eq!(refused(&csr[..csr.len() - 1]), CaError::RequestEncoding);
    assert_eq!(refused(&[csr.as_slice(), &[0]].concat()), CaError::RequestEncoding);
    assert_eq!(refused(&[]), CaError::RequestEncoding);
    assert_eq!(refused(&[0x30; 5_000]), CaError::RequestTooLarge { bytes: 5_000, most: 4_096 });
    let last = csr.last_mut().expect("bytes");
    *last ^= 1;
    assert_eq!(refused(&csr), CaError::RequestSignature);
}

/// The request of somebody else's key, as a thief of a public key would send it.
#[test]
fn a_request_for_a_key_one_does_not_hold_is_refused() {
    let cluster = Cluster::new();
    let (_, mine) = new_key_and_csr().expect("a key");
    let theirs = NodeKey::generate().expect("a key").csr().expect("a request");
    // Ours, with the public point of the other request in place of our own.
    let point = |csr: &[u8]| csr.windows(2).position(|w| w == [0x03, 0x42]).expect("a point") + 3;
    let mut forged = mine.clone();
    let (to, from) = (point(&mine), point(&theirs));
    forged[to..to + 65].copy_from_slice(&theirs[from..from + 65]);
    let refused = cluster.ca.sign(&forged, &cluster.subject(Role::Worker), valid());
    assert_eq!(refused, Err(CaError::RequestSignature));
}

#[test]
fn a_ca_comes_back_from_its_pem() {
    let cluster = Cluster::new();
    let key = cluster.ca.key_pem().expect("PEM");
    let again = RootCa::from_pem(cluster.ca.cert_pem(), &key).expect("the same CA");
    assert_eq!(again.digest(), cluster.ca.digest());
    let (key, csr) = new_key_and_csr().expect("a key");
    let chain = again.sign(&csr, &cluster.subject(Role::Worker), valid()).expect("signed");
    NodeIdentity::issued(key, &chain, &cluster.ca.digest()).expect("ours");
}

#[test]
fn a_ca_is_refused_when_its_halves_do_not_fit() {
    let (one, other) = (Cluster::new(), Cluster::new());
    let key = |c: &Cluster| c.ca.key_pem().expect("PEM").to_string();
    let refused = |cert: &str, key: &str| RootCa::from_pem(cert, key).expect_err("refused");
    assert_eq!(refused(one.ca.cert_pem(), &key(&other)), CaError::KeyMismatch);
    assert_eq!(refused("", &key(&one)), CaError::Certificate);
    let two = format!("{}{}", one.ca.cert_pem(), other.ca.cert_pem());
    assert_eq!(refused(&two, &key(&one)), CaError::Certificate);
    assert!(matches!(refused(one.ca.cert_pem(), "no key"), CaError::Key(_)));

    let pair = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::default().self_signed(&pair).expect("a certificate");
    assert_eq!(refused(&leaf.pem(), &pair.serialize_pem()), CaError::NotACa);
}

#[test]
fn no_certificate_outlives_the_root() {
    let cluster = Cluster::new();
    let century = Validity::starting(now_ms(), 100 * 365 * DAY_MS);
    let node = cluster.certify(&cluster.subject(Role::Worker), century);
    let root = certs(cluster.ca.cert_pem());
    let (_, root) = X509Certificate::from_der(&root[0]).expect("X.509");
    assert_eq!(node.peer().expires_ms, root.validity().not_after.timestamp() as u64 * 1_000);

    let (_, csr) = new_key_and_csr().expect("a key");
    let after = Validity::starting(now_ms() + 30 * 365 * DAY_MS, DAY_MS);
    let refused = cluster.ca.sign(&csr, &cluster.subject(Role::Worker), after);
    assert!(matches!(refused, Err(CaError::RootExpired { .. })), "{refused:?}");
    let empty = Validity { from_ms: 5, until_ms: 5 };
    let refused = cluster.ca.sign(&csr, &cluster.subject(Role::Worker), empty);
    assert!(matches!(refused, Err(CaError::Validity { .. })), "{refused:?}");
}

#[test]
fn an_identity_is_refused_when_its_parts_do_not_fit() {
    let (ours, other) = (Cluster::new(), Cluster::new());
    let (key, csr) = new_key_and_csr().expect("a key");
    let chain = ours.ca.sign(&csr, &ours.subject(Role::Worker), valid()).expect("signed");
    let another = || NodeKey::generate().expect("a key");
    let refused = |r: Result<NodeIdentity, IdentityError>| r.expect_err("refused");
    assert_eq!(
        refused(NodeIdentity::issued(another(), &chain, &ours.ca.digest())),
        IdentityError::KeyMismatch
    );
    let expected = other.ca.digest();
    assert_eq!(
        refused(NodeIdentity::issued(another(), &chain, &expected)),
        IdentityError::OtherRoot { expected }
    );
    assert_eq!(refused(NodeIdentity::new(key, &chain, other.ca.cert_pem())), IdentityError::NotIssuedByRoot);
    assert!(matches!(refused(NodeIdentity::new(another(), "", &chain)), IdentityError::Pem { .. }));
    // The root in the place of the node's certificate names no node.
    let root = ours.ca.cert_pem();
    assert!(matches!(refused(NodeIdentity::new(another(), root, root)), IdentityError::Certificate(_)));
}

#[test]
fn debug_shows_no_key() {
    let cluster = Cluster::new();
    let node = cluster.node(Role::Worker);
    let key = NodeKey::generate().expect("a key");
    assert_eq!(format!("{key:?}"), "NodeKey(…)");
    assert_eq!(format!("{:?}", cluster.ca), format!("RootCa({})", cluster.ca.digest()));
    assert_eq!(format!("{node:?}"), format!("NodeIdentity({:?})", node.peer()));
}

/// An RSA-2048 request, valid in itself; rcgen with ring can sign with RSA keys but not make them.
fn rsa_request() -> Vec<u8> {
    include_bytes!("rsa-2048.csr.der").to_vec()
}
