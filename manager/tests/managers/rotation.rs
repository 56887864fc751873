//! The root CA of a running cluster: replaced, and certificates that ran out. S20, S67, S68, S70, B10.

use crate::harness::{Host, WorkerHost, admit, now_ms};
use crate::poll::until;
use swarm_identity::{
    CaDigest, Credentials, Dialler, NodeIdentity, RootCa, Subject, UserIdentity, Validity, new_key_and_csr,
    random,
};
use swarm_model::{Cluster, Role};
use swarm_proto::v1;
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::v1::worker_message::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

const HOUR_MS: u64 = 3_600_000;

fn cluster(host: &Host) -> Cluster {
    host.manager.read(|state| state.cluster().cloned()).unwrap()
}

async fn rotate(host: &Host, cert: &str, key: &str) -> Result<(), Status> {
    let request = v1::RotateRootRequest { ca_cert: cert.into(), ca_key: key.into(), ..Default::default() };
    host.control().await.rotate_root(request).await.map(drop)
}

async fn progress(host: &Host) -> Option<v1::RootRotation> {
    let answer = host.control().await.get_cluster(v1::GetClusterRequest {}).await.unwrap();
    answer.into_inner().rotation
}

/// As a daemon does: the roots are taken first, a certificate of the new one next.
async fn renew(credentials: &Credentials, host: &Host) {
    let roots = cluster(host).roots();
    credentials.replace(credentials.with_roots(&roots).unwrap()).unwrap();
    let channel = Dialler::new(credentials.clone()).to_manager(&host.addr.to_string()).await.unwrap();
    let (key, csr_der) = new_key_and_csr().unwrap();
    let answer = CaClient::new(channel).renew(v1::RenewRequest { csr_der }).await.unwrap().into_inner();
    credentials.replace(NodeIdentity::new(key, &answer.certificate_chain, &roots).unwrap()).unwrap();
}

/// A session that says which root it trusts; the sender keeps it.
async fn session(credentials: &Credentials, host: &Host, hostname: &str) -> mpsc::Sender<v1::WorkerMessage> {
    let channel = Dialler::new(credentials.clone()).to_manager(&host.addr.to_string()).await.unwrap();
    let (send, messages) = mpsc::channel(8);
    let say = |message| v1::WorkerMessage { message: Some(message) };
    let register = v1::Register {
        hostname: hostname.into(),
        features: swarm_model::FEATURE_LEVEL,
        last_session: Some(String::new()),
        ..Default::default()
    };
    send.try_send(say(Message::Register(register))).unwrap();
    let root_digest = credentials.issuing_root().unwrap().as_bytes().to_vec();
    let mut client = v1::dispatcher_client::DispatcherClient::new(channel);
    let mut told = client.session(ReceiverStream::new(messages)).await.unwrap().into_inner();
    let first = told.message().await.unwrap().unwrap();
    let Some(v1::manager_message::Message::Welcome(welcome)) = first.message else { panic!("{first:?}") };
    assert!(now_ms().abs_diff(welcome.now_ms) < 60_000, "the manager's clock comes along");
    send.try_send(say(Message::Trust(v1::Trust { root_digest }))).unwrap();
    tokio::spawn(async move { while let Ok(Some(_)) = told.message().await {} });
    send
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s67_both_roots_count_until_all_have_renewed_and_then_the_new_one_alone() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let (old_token, before) = (host.token(Role::Worker).await, worker.credentials.ca_digest());
    rotate(&host, "", "").await.unwrap();
    let rotating = progress(&host).await.unwrap();
    assert_eq!((rotating.nodes, rotating.renewed), (2, 0));
    // Tokens still name the old root, and a joiner that knows only that one gets in, under the new one.
    assert_eq!(host.token(Role::Worker).await.to_string(), old_token.to_string());
    let joined = admit(host.addr, &old_token, "w2").await.unwrap();
    assert_eq!(
        joined.issuing_root(),
        None,
        "issued by a root it has not been told of, crossed by the one it knows"
    );
    let joined = Credentials::new(joined).unwrap();
    // Old and new certificates, both ways.
    renew(&worker.credentials, &host).await;
    assert_ne!(worker.credentials.issuing_root(), Some(before));
    let _w1 = session(&worker.credentials, &host, "w1").await;
    renew(&joined, &host).await;
    let _w2 = session(&joined, &host, "w2").await;
    until("both are heard", async || (progress(&host).await?.renewed == 2).then_some(())).await;
    assert!(progress(&host).await.unwrap().waiting.is_empty() || cluster(&host).rotation.is_some());
    renew(&host.credentials, &host).await;
    let _m = session(&host.credentials, &host, "m1").await;
    until("the rotation ends", async || progress(&host).await.is_none().then_some(())).await;
    let after = cluster(&host);
    assert_ne!(CaDigest::of_pem(&after.root_ca_cert), Some(before));
    // Tokens name the new root; those of before are refused.
    let token = host.token(Role::Worker).await;
    assert_eq!(Some(token.digest()), CaDigest::of_pem(&after.root_ca_cert));
    assert!(admit(host.addr, &token, "w3").await.is_ok());
    let refused = admit(host.addr, &old_token, "w4").await.unwrap_err();
    assert!(refused.message().contains("before its root CA was replaced"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s67_a_user_made_during_a_rotation_is_of_the_new_root_and_outlives_the_old_one() {
    let host = Host::first().await;
    rotate(&host, "", "").await.unwrap();
    let (key, csr_der) = new_key_and_csr().unwrap();
    let request = v1::CreateUserRequest {
        name: "anna".into(),
        role: v1::UserRole::Viewer.into(),
        csr_der,
        ..Default::default()
    };
    let made = host.control().await.create_user(request).await.unwrap().into_inner();
    let user = UserIdentity::new(key, &made.certificate_chain).unwrap();
    // While this manager still shows a certificate of the old root, and trusts both.
    let roots = cluster(&host).roots();
    host.credentials.replace(host.credentials.with_roots(&roots).unwrap()).unwrap();
    let looks = async || {
        let channel = user.channel(&host.addr.to_string()).await.map_err(|e| e.to_string())?;
        let mut control = v1::control_client::ControlClient::new(channel);
        control.list_nodes(v1::ListNodesRequest {}).await.map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(looks().await, Ok(()));
    renew(&host.credentials, &host).await;
    let _m = session(&host.credentials, &host, "m1").await;
    until("the rotation ends", async || progress(&host).await.is_none().then_some(())).await;
    let new = cluster(&host).roots();
    host.credentials.replace(host.credentials.with_roots(&new).unwrap()).unwrap();
    assert_eq!(looks().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s68_who_renewed_under_a_root_that_never_came_in_goes_on() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    rotate(&host, "", "").await.unwrap();
    renew(&worker.credentials, &host).await;
    let first = worker.credentials.issuing_root();
    rotate(&host, "", "").await.unwrap();
    // By the cross certificate it shows, although nobody trusts that root any more.
    renew(&worker.credentials, &host).await;
    assert!(worker.credentials.issuing_root() != first && worker.credentials.issuing_root().is_some());
    assert_eq!(progress(&host).await.unwrap().renewed, 0);
}

/// A root that knows nothing of this cluster, as an operator may bring along: certificate and key.
fn external() -> (String, String) {
    let ca = RootCa::generate(random::new_id(), now_ms()).unwrap();
    (ca.cert_pem().to_owned(), ca.key_pem().unwrap().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s70_external_roots_that_will_not_do_are_refused_and_one_that_does_issues() {
    let host = Host::first().await;
    let ((good, key), (other, other_key)) = (external(), external());
    let cases = [
        (format!("{good}{other}"), key.as_str(), "2 certificates"),
        (good.clone(), other_key.as_str(), "does not belong to its certificate"),
        ("nothing".into(), &key, "PEM"),
        (good.clone(), "nothing", "PEM of type PRIVATE KEY"),
    ];
    for (cert, key, said) in &cases {
        let refused = rotate(&host, cert, key).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(said), "{said}: {}", refused.message());
        assert!(progress(&host).await.is_none());
    }
    rotate(&host, &good, &key).await.unwrap();
    let worker = WorkerHost::joined(&host, "w1").await;
    renew(&worker.credentials, &host).await;
    assert_eq!(worker.credentials.issuing_root(), CaDigest::of_pem(&good), "an external root issues");
}

/// A certificate of the worker that ran out a while ago, by whatever root.
fn expired(worker: &WorkerHost, ca: &RootCa, trusted: &str) -> Credentials {
    let (key, csr) = new_key_and_csr().unwrap();
    let peer = worker.credentials.peer();
    let subject = Subject { node: peer.node, role: peer.role, cluster: peer.cluster };
    let validity = Validity { from_ms: now_ms() - 3 * HOUR_MS, until_ms: now_ms() - HOUR_MS };
    let chain = ca.sign(&csr, &subject, validity).unwrap();
    Credentials::new(NodeIdentity::new(key, &chain, trusted).unwrap()).unwrap()
}

async fn by_key(credentials: &Credentials, host: &Host, proven: &[u8]) -> Result<v1::IssueResponse, Status> {
    let (_, csr_der) = new_key_and_csr().unwrap();
    let (certificate_chain, proof) =
        credentials.prove(if proven.is_empty() { &csr_der } else { proven }).unwrap();
    let channel = Dialler::new(credentials.clone()).nameless(&host.addr.to_string()).await.unwrap();
    let request = v1::RenewExpiredRequest { csr_der, certificate_chain, proof };
    CaClient::new(channel).renew_expired(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_an_expired_but_known_key_renews_within_the_grace_period() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let ours = cluster(&host);
    let ca = RootCa::from_pem(&ours.root_ca_cert, &ours.root_ca_key).unwrap();
    let old = expired(&worker, &ca, &ours.root_ca_cert);
    assert!(
        Dialler::new(old.clone()).to_manager(&host.addr.to_string()).await.is_err(),
        "TLS takes it no more"
    );
    let answer = by_key(&old, &host, &[]).await.unwrap();
    assert_eq!(answer.node, worker.node().to_string());
    // Another's request is not one's own.
    let refused = by_key(&old, &host, b"another request").await.unwrap_err();
    assert!(refused.message().contains("not signed by the key"), "{}", refused.message());
    let update = v1::UpdateClusterRequest { cert_grace_ms: Some(60_000), ..Default::default() };
    host.control().await.update_cluster(update).await.unwrap();
    let late = by_key(&old, &host, &[]).await.unwrap_err();
    assert_eq!(late.code(), Code::PermissionDenied);
    assert!(late.message().contains("join again"), "{}", late.message());
    let update = v1::UpdateClusterRequest { cert_grace_ms: Some(2 * HOUR_MS), ..Default::default() };
    host.control().await.update_cluster(update).await.unwrap();
    let remove =
        v1::RemoveNodeRequest { reference: worker.node().to_string(), force: true, ..Default::default() };
    host.control().await.remove_node(remove).await.unwrap();
    let removed = by_key(&old, &host, &[]).await.unwrap_err();
    assert!(removed.message().contains("removed"), "{}", removed.message());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s20_a_certificate_of_another_cluster_or_ca_renews_nothing() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let ours = cluster(&host);
    let foreign = RootCa::generate(random::new_id(), now_ms()).unwrap();
    let both = format!("{}{}", ours.root_ca_cert, foreign.cert_pem());
    let stranger = expired(&worker, &foreign, &both);
    let refused = by_key(&stranger, &host, &[]).await.unwrap_err();
    assert!(refused.message().contains("not issued by this cluster's CA"), "{}", refused.message());
    // By TLS, a certificate that our own CA made for another cluster.
    let ca = RootCa::from_pem(&ours.root_ca_cert, &ours.root_ca_key).unwrap();
    let (key, csr) = new_key_and_csr().unwrap();
    let subject = Subject { node: worker.node(), role: Role::Worker, cluster: random::new_id() };
    let chain = ca.sign(&csr, &subject, Validity::starting(now_ms(), HOUR_MS)).unwrap();
    let other = Credentials::new(NodeIdentity::new(key, &chain, &ours.root_ca_cert).unwrap()).unwrap();
    assert!(Dialler::new(other).to_manager(&host.addr.to_string()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_expiry_that_was_set_last_is_that_of_the_next_certificate() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let update = v1::UpdateClusterRequest { cert_expiry_ms: Some(2 * HOUR_MS), ..Default::default() };
    host.control().await.update_cluster(update).await.unwrap();
    renew(&worker.credentials, &host).await;
    let left = worker.credentials.validity().until_ms - now_ms();
    assert!((HOUR_MS..=2 * HOUR_MS).contains(&left), "{left}");
    let update = v1::UpdateClusterRequest { cert_expiry_ms: Some(1), ..Default::default() };
    let refused = host.control().await.update_cluster(update).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
