//! Roots from outside, and one root that vouches for another. S67, S70.

use crate::world::now_ms;
use rcgen::{
    CertificateParams, CertifiedIssuer, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use std::time::Duration;
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

fn ends_in(params: &mut CertificateParams, seconds: u64) {
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now_ms() / 1_000 + seconds);
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
    let (short, short_key) = external(|params| ends_in(params, 1_800));
    let (names, names_key) = external(|params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let (code, code_key) =
        external(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]);
    let (usage, usage_key) = external(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let (odd, odd_key) = external(|params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x05, 0x00]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
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
        (short, short_key, "ends in 0 h 29 min, and the certificates it is to issue are valid for 1 h 0 min"),
        (names, names_key, "would be refused in the cluster"),
        (code, code_key, "its extended key usage does not say both"),
        (usage, usage_key, "its key usage does not say so"),
        (odd, odd_key, "critical extension 1.2.3.4"),
        ("nothing".to_owned(), good_key.clone(), "PEM"),
        (good.clone(), "nothing".to_owned(), "PEM of type PRIVATE KEY"),
    ];
    let mut sentences = Vec::new();
    for (cert, key, said) in &cases {
        let refused = RootCa::external(cert, key, (now_ms(), HOUR_MS)).expect_err(said).to_string();
        assert!(refused.contains(said), "{said}: {refused}");
        assert!(!sentences.contains(&refused), "said twice: {refused}");
        sentences.push(refused);
    }
    let (usual, usual_key) = external(|params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert!(RootCa::external(&usual, &usual_key, (now_ms(), HOUR_MS)).is_ok());
    assert!(RootCa::external(&good, &good_key, (now_ms(), HOUR_MS)).is_ok());
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
    for new in [RootCa::external(&cert, &key, (now_ms(), HOUR_MS)).unwrap(), own] {
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

#[test]
fn s70_a_root_that_is_prolonged_under_its_own_key_is_another_root_for_the_same_certificates() {
    let key = key();
    let root = |change: fn(&mut CertificateParams)| {
        let mut params = ca_named("Example Root");
        change(&mut params);
        let cert = params.self_signed(&key).unwrap().pem();
        RootCa::external(&cert, &key.serialize_pem(), (now_ms(), HOUR_MS)).unwrap()
    };
    let first = root(|params| ends_in(params, 30 * 86_400));
    let prolonged = root(|params| ends_in(params, 3_000 * 86_400));
    let renamed = root(|params| params.distinguished_name.push(DnType::OrganizationName, "Example"));
    let held = identity(&first, first.cert_pem());
    assert_eq!(held.issuing_root(), Some(first.digest()));
    // While both count, nothing has to be issued anew; when the first goes, nothing is lost.
    let both = format!("{}{}", first.cert_pem(), prolonged.cert_pem());
    let told = held.with_roots(&both).unwrap();
    assert_eq!(told.issuing_root(), Some(prolonged.digest()));
    assert!(told.root_until_ms() > held.root_until_ms());
    let alone = told.with_roots(prolonged.cert_pem()).unwrap();
    assert_eq!(alone.issuing_root(), Some(prolonged.digest()));
    // What is issued meanwhile is good under either, with the cross certificate in its chain.
    let cross = first.cross_sign(&prolonged, now_ms()).unwrap();
    let new = prolonged.with_beside(&format!("{cross}{}", first.cert_pem()));
    for trusted in [first.cert_pem(), &both, new.cert_pem()] {
        assert!(Credentials::new(identity(&new, trusted)).is_ok());
    }
    // The same key under another name vouches for nothing that bears the first one's.
    let named = held.with_roots(&format!("{}{}", first.cert_pem(), renamed.cert_pem())).unwrap();
    assert_eq!(named.issuing_root(), Some(first.digest()));
    assert!(named.with_roots(renamed.cert_pem()).is_err());
}
