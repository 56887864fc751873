//! What a stranger brings: a token as it was typed, and a request for a certificate.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::sync::OnceLock;
use swarm_identity::{JoinToken, Peer, RootCa, Subject, Validity};
use swarm_model::{ClusterId, Id, Role};

const YEAR_MS: u64 = 365 * 24 * 3_600_000;
const NOW_MS: u64 = 1_800_000_000_000;

/// # Panics
/// A token is not written as it was read, or its Debug form shows the secret.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = text.parse::<JoinToken>() else { return };
    let again = token.to_string().parse::<JoinToken>();
    let same = again.is_ok_and(|a| a.digest() == token.digest() && a.secret() == token.secret());
    assert!(same, "not the same again");
    // Nothing keeps a secret from being a part of the digest, which may be shown.
    let shown = format!("{token:?}").replace(&token.digest().to_string(), "");
    assert!(!shown.contains(token.secret()), "the secret is shown");
}

/// # Panics
/// A certificate says anything of its holder that the request wished and the manager did not.
pub fn csr(bytes: &[u8]) {
    static CA: OnceLock<(RootCa, Subject)> = OnceLock::new();
    let (ca, subject) = CA.get_or_init(|| {
        let cluster: ClusterId = Id::from_random([3; 16]);
        let ca = RootCa::generate(cluster, NOW_MS).expect("a CA");
        (ca, Subject { node: Id::from_random([4; 16]), role: Role::Worker, cluster })
    });
    let Ok(chain) = ca.sign(bytes, subject, Validity::starting(NOW_MS, YEAR_MS)) else { return };
    let first = chain.split("-----END").next().unwrap_or_default();
    let text: String = first.lines().filter(|line| !line.starts_with("---")).collect();
    let der = BASE64_STANDARD.decode(text).expect("PEM");
    let peer = Peer::from_der(&der).expect("a certificate of ours");
    assert_eq!((peer.node, peer.role, peer.cluster), (subject.node, subject.role, subject.cluster));
}
