//! Who gets to talk to whom, and what the others are told.

use crate::world::{Cluster, DAY_MS, Manager, now_ms, who_am_i};
use swarm_identity::{
    Credentials, DialError, DialErrorKind, Dialler, Limits, NodeIdentity, Subject, Validity, admission,
    new_key_and_csr, random,
};
use swarm_model::Role;

#[tokio::test]
async fn members_are_known_by_their_certificates() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    for role in [Role::Worker, Role::Manager] {
        let credentials = cluster.credentials(role);
        let node = credentials.peer().node;
        let dialler = Dialler::new(credentials);
        let channel = dialler.to_manager(&manager.at()).await.expect("connected");
        assert_eq!(who_am_i(&channel).await.expect("answered"), format!("{role} {node}"));
        let channel = dialler.to_node(manager.addr, manager.node).await.expect("connected");
        assert_eq!(who_am_i(&channel).await.expect("answered"), format!("{role} {node}"));
    }
}

#[tokio::test]
async fn a_joiner_with_the_right_digest_is_a_stranger_that_is_answered() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let channel = admission::channel(&manager.at(), &cluster.ca.digest()).await.expect("connected");
    assert_eq!(who_am_i(&channel).await.expect("answered"), "stranger");
}

#[tokio::test]
async fn a_joiner_with_another_digest_sends_nothing() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let manager = Manager::of(&cluster).await;
    let error = admission::channel(&manager.at(), &other.ca.digest()).await.expect_err("refused");
    let expected = DialError::DigestMismatch {
        addr: manager.at(),
        expected: other.ca.digest(),
        presented: Some(cluster.ca.digest()),
    };
    assert_eq!(error, expected);
    assert_eq!(error.kind(), DialErrorKind::Untrusted);
    assert_eq!(manager.connections.counts().strangers, 0);
}

/// Somebody who copied the public root certificate into his own chain.
#[tokio::test]
async fn showing_the_right_root_is_not_enough() {
    let (cluster, thief) = (Cluster::new(), Cluster::new());
    let (key, csr) = new_key_and_csr().expect("a key");
    let subject = thief.subject(Role::Manager);
    let chain = thief.ca.sign(&csr, &subject, Validity::starting(now_ms(), DAY_MS)).expect("signed");
    let chain = chain + cluster.ca.cert_pem();
    let identity = NodeIdentity::new(key, &chain, thief.ca.cert_pem()).expect("consistent");
    let manager = Manager::start(Credentials::new(identity).expect("credentials"), Limits::default()).await;
    let error = admission::channel(&manager.at(), &cluster.ca.digest()).await.expect_err("refused");
    assert_eq!(error, DialError::ForeignCa { addr: manager.at() });
}

#[tokio::test]
async fn a_worker_is_no_manager() {
    let cluster = Cluster::new();
    let worker = Manager::start(cluster.credentials(Role::Worker), Limits::default()).await;
    let dialler = cluster.dialler(Role::Worker);
    for error in [
        dialler.to_manager(&worker.at()).await.expect_err("refused"),
        dialler.to_node(worker.addr, worker.node).await.expect_err("refused"),
        admission::channel(&worker.at(), &cluster.ca.digest()).await.expect_err("refused"),
    ] {
        assert!(matches!(error, DialError::NotAManager { .. }), "{error}");
    }
}

#[tokio::test]
async fn another_node_is_the_wrong_node() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let expected = random::new_id();
    let error = cluster.dialler(Role::Manager).to_node(manager.addr, expected).await.expect_err("refused");
    let found = matches!(&error, DialError::WrongNode { expected: e, presented, .. }
        if *e == expected && presented.contains(manager.node.as_str()));
    assert!(found, "{error}");
    assert!(!error.to_string().contains("DnsName"), "names as people write them: {error}");
}

#[tokio::test]
async fn clusters_do_not_talk_to_each_other() {
    let (one, other) = (Cluster::new(), Cluster::new());
    let manager = Manager::of(&one).await;
    let error = other.dialler(Role::Worker).to_manager(&manager.at()).await.expect_err("refused");
    assert_eq!(error, DialError::ForeignCa { addr: manager.at() });
}

/// One CA used for two clusters: the certificate's O tells them apart.
#[tokio::test]
async fn the_same_ca_does_not_make_the_same_cluster() {
    let cluster = Cluster::new();
    let foreign = Subject { cluster: random::new_id(), ..cluster.subject(Role::Manager) };
    let identity = cluster.certify(&foreign, Validity::starting(now_ms(), DAY_MS));
    let foreigner = Credentials::new(identity).expect("credentials");

    let manager = Manager::start(foreigner, Limits::default()).await;
    let error = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect_err("refused");
    assert_eq!(error, DialError::OtherCluster { addr: manager.at(), cluster: foreign.cluster });
}

#[tokio::test]
async fn an_expired_manager_is_refused_with_the_seconds() {
    let cluster = Cluster::new();
    let past = Validity { from_ms: now_ms() - 2 * DAY_MS, until_ms: now_ms() - DAY_MS };
    let identity = cluster.certify(&cluster.subject(Role::Manager), past);
    let manager = Manager::start(Credentials::new(identity).expect("credentials"), Limits::default()).await;
    let error = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect_err("refused");
    let about_a_day = |s: u64| (86_400..86_460).contains(&s);
    assert!(matches!(&error, DialError::Expired { since_s, .. } if about_a_day(*since_s)), "{error}");
    let error = admission::channel(&manager.at(), &cluster.ca.digest()).await.expect_err("refused");
    assert!(matches!(error, DialError::Expired { .. }), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_behind_is_told_by_how_much() {
    let cluster = Cluster::new();
    let future = Validity { from_ms: now_ms() + DAY_MS, until_ms: now_ms() + 2 * DAY_MS };
    let identity = cluster.certify(&cluster.subject(Role::Manager), future);
    let manager = Manager::start(Credentials::new(identity).expect("credentials"), Limits::default()).await;
    let error = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect_err("refused");
    let about_a_day = |s: u64| (86_340..=86_401).contains(&s);
    assert!(matches!(&error, DialError::NotYetValid { behind_s, .. } if about_a_day(*behind_s)), "{error}");
}

/// Said before anything is sent: a manager's refusal would say less.
#[tokio::test]
async fn an_expired_node_knows_it_itself() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let past = Validity { from_ms: now_ms() - 2 * DAY_MS, until_ms: now_ms() - DAY_MS };
    let identity = cluster.certify(&cluster.subject(Role::Worker), past);
    let dialler = Dialler::new(Credentials::new(identity).expect("credentials"));
    let error = dialler.to_manager(&manager.at()).await.expect_err("refused");
    assert!(matches!(error, DialError::OwnExpired { since_s } if since_s >= 86_400), "{error}");
    assert_eq!(manager.connections.counts().members, 0);
}

/// TLS 1.3 lets the client finish first. The dial itself must fail, not some later RPC.
#[tokio::test]
async fn a_refused_certificate_fails_the_dial() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    // Trusts our CA but shows a certificate that is not valid yet by anybody's clock.
    let future = Validity { from_ms: now_ms() + DAY_MS, until_ms: now_ms() + 2 * DAY_MS };
    let identity = cluster.certify(&cluster.subject(Role::Worker), future);
    let dialler = Dialler::new(Credentials::new(identity).expect("credentials"));
    let error = dialler.to_manager(&manager.at()).await.expect_err("refused");
    assert!(matches!(error, DialError::Refused { .. }), "{error}");
    assert_eq!(error.kind(), DialErrorKind::Refused);
}

#[tokio::test]
async fn nobody_there_not_tls_and_no_such_name_are_told_apart() {
    let cluster = Cluster::new();
    let dialler = cluster.dialler(Role::Worker);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = socket.local_addr().expect("bound").to_string();

    let answers_http = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = socket.accept().await.expect("a caller");
        stream.read_u8().await.expect("a hello");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = dialler.to_manager(&addr).await.expect_err("not TLS");
    assert_eq!(error, DialError::NotTls { addr: addr.clone() });
    answers_http.await.expect("done");

    let error = dialler.to_manager(&addr).await.expect_err("nobody there");
    assert!(matches!(&error, DialError::Unreachable { addr: a, .. } if *a == addr), "{error}");
    let error = dialler.to_manager("no-such-host.invalid:2377").await.expect_err("no such name");
    assert!(matches!(error, DialError::NotResolvable { .. }), "{error}");
    let error = dialler.to_manager("::1:2377").await.expect_err("no brackets");
    assert_eq!(error.kind(), DialErrorKind::Usage);
}

#[tokio::test]
async fn a_name_reaches_a_manager() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let dialler = cluster.dialler(Role::Worker);
    let by_name = format!("localhost:{}", manager.addr.port());
    dialler.to_manager(&by_name).await.expect("connected");
}
