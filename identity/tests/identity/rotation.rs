//! Roots from outside, and one root that vouches for another. S67, S70.

use crate::world::now_ms;
use rcgen::{CertificateParams, CertifiedIssuer, DnType, DnValue, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use swarm_identity::{
    CaDigest, Credentials, NodeIdentity, RootCa, Subject, Validity, new_key_and_csr, random,
};
use swarm_model::Role;

const HOUR_MS: u64 = 3_600_000;

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn ca_named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, DnValue::PrintableString("CH".try_into().unwrap()));
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Certificate and key.
fn external(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let (key, mut params) = (key(), ca_named("Example Root"));
    change(&mut params);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn s70_roots_that_will_not_do_are_refused_each_with_its_sentence() {
    let (good, good_key) = external(|_| {});
    let (other, other_key) = external(|_| {});
    let (expired, expired_key) = external(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let (later, later_key) = external(|params| params.not_before = rcgen::date_time_ymd(2099, 1, 1));
    let (no_ca, no_ca_key) = external(|params| params.is_ca = IsCa::ExplicitNoCa);
    let above = CertifiedIssuer::self_signed(ca_named("Above"), key()).unwrap();
    let below_key = key();
    let below = ca_named("Below").signed_by(&below_key, &above).unwrap().pem();
    let cases = [
        (format!("{good}{other}"), good_key.clone(), "2 certificates"),
        (below, below_key.serialize_pem(), "not self-signed: it was issued by"),
        (good.clone(), other_key, "does not belong to its certificate"),
        (expired, expired_key, "expired"),
        (later, later_key, "not valid before"),
        (no_ca, no_ca_key, "do not say CA"),
        ("nothing".to_owned(), good_key.clone(), "PEM"),
        (good.clone(), "nothing".to_owned(), "PEM of type PRIVATE KEY"),
    ];
    let mut sentences = Vec::new();
    for (cert, key, said) in &cases {
        let refused = RootCa::external(cert, key, now_ms()).expect_err(said).to_string();
        assert!(refused.contains(said), "{said}: {refused}");
        assert!(!sentences.contains(&refused), "said twice: {refused}");
        sentences.push(refused);
    }
    assert!(RootCa::external(&good, &good_key, now_ms()).is_ok());
}

fn identity(ca: &RootCa, trusted: &str) -> NodeIdentity {
    let (key, csr) = new_key_and_csr().unwrap();
    let subject = Subject { node: random::new_id(), role: Role::Manager, cluster: random::new_id() };
    let chain = ca.sign(&csr, &subject, Validity::starting(now_ms(), HOUR_MS)).unwrap();
    NodeIdentity::new(key, &chain, trusted).unwrap()
}

#[test]
fn s67_who_trusts_the_old_root_takes_certificates_of_the_new_one_by_the_cross_certificate() {
    let old = RootCa::generate(random::new_id(), now_ms()).unwrap();
    let (cert, key) = external(|_| {});
    let own = RootCa::successor(random::new_id(), now_ms()).unwrap();
    for new in [RootCa::external(&cert, &key, now_ms()).unwrap(), own] {
        let cross = old.cross_sign(&new, now_ms()).unwrap();
        let (trusted, digest) = (new.cert_pem().to_owned(), new.digest());
        let both = format!("{}{trusted}", old.cert_pem());
        let new = new.with_beside(&format!("{cross}{}", old.cert_pem()));
        let crossed = identity(&new, old.cert_pem());
        assert_eq!(crossed.issuing_root(), None);
        assert_eq!(crossed.ca_digest(), old.digest());
        let told = crossed.with_roots(&both).unwrap();
        assert_eq!((told.issuing_root(), told.ca_digest()), (Some(digest), old.digest()));
        let alone = told.with_roots(&trusted).unwrap();
        assert_eq!((alone.issuing_root(), alone.ca_digest()), (Some(digest), digest));
        assert!(Credentials::new(alone).is_ok());
        // A certificate of the old root is worth nothing once that is gone.
        let late = identity(&old, old.cert_pem());
        assert!(late.with_roots(&trusted).is_err());
        assert_eq!(CaDigest::of_pem(&both), Some(old.digest()));
    }
}
