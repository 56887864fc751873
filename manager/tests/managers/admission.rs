//! Who is let in, as what, and who is not.

use crate::harness::{Host, WorkerHost, admission_request, admit};
use swarm_identity::{Dialler, JoinToken, NodeIdentity, admission, new_key_and_csr, random};
use swarm_model::Role;
use swarm_proto::v1;
use swarm_proto::v1::ca_client::CaClient;
use tonic::{Code, Status};

async fn ask(host: &Host, token: &str) -> Result<v1::IssueResponse, Status> {
    let (_, mut request) = admission_request("w1");
    request.listen_port = host.addr.port().into();
    request.token = token.to_owned();
    let channel = admission::channel(&host.addr.to_string(), &host.credentials.ca_digest()).await.unwrap();
    Ok(CaClient::new(channel).issue(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_decides_the_role() {
    let host = Host::first().await;
    for role in [Role::Worker, Role::Manager] {
        let identity = admit(host.addr, &host.token(role).await, "joiner").await.unwrap();
        assert_eq!(identity.peer().role, role);
        assert_eq!(identity.peer().cluster, host.credentials.peer().cluster);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_wrong_tokens_give_three_different_errors_and_no_node() {
    let host = Host::first().await;
    let good = host.token(Role::Worker).await;
    let other = JoinToken::new(swarm_identity::CaDigest::from_bytes([9; 32]), good.secret()).unwrap();
    let wrong = JoinToken::new(good.digest(), &random::secret()).unwrap();
    let mut messages = Vec::new();
    for token in ["SWMTKN-1-garbage".to_owned(), other.to_string(), wrong.to_string()] {
        let status = ask(&host, &token).await.unwrap_err();
        assert!(matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated), "{status:?}");
        assert!(!status.message().contains(good.secret()));
        messages.push(status.message().to_owned());
    }
    assert!(messages[0].contains("malformed"), "{messages:?}");
    assert!(messages[1].contains("another cluster"), "{messages:?}");
    assert!(messages[2].contains("not valid any more"), "{messages:?}");
    assert_eq!(host.manager.read(|state| state.nodes().len()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_token_is_refused_and_the_other_role_s_stays_valid() {
    let host = Host::first().await;
    let (old, manager) = (host.token(Role::Worker).await, host.token(Role::Manager).await);
    let rotate = v1::RotateJoinTokenRequest { role: v1::Role::Worker.into(), request_id: String::new() };
    let new = host.control().await.rotate_join_token(rotate).await.unwrap().into_inner().token;
    assert_ne!(new, old.to_string());
    assert!(ask(&host, &old.to_string()).await.unwrap_err().message().contains("not valid any more"));
    assert!(ask(&host, &new).await.is_ok());
    assert!(ask(&host, &manager.to_string()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_join_asked_twice_makes_one_node() {
    let host = Host::first().await;
    let token = host.token(Role::Worker).await;
    let (_, mut request) = admission_request("w1");
    request.token = token.to_string();
    let channel = admission::channel(&host.addr.to_string(), &token.digest()).await.unwrap();
    let mut ca = CaClient::new(channel);
    let first = ca.issue(request.clone()).await.unwrap().into_inner();
    let again = ca.issue(request).await.unwrap().into_inner();
    assert_eq!(first.node, again.node);
    assert_eq!(first.addr, "127.0.0.1", "the address the request came from");
    assert_eq!(host.manager.read(|state| state.nodes().len()), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guesser_is_slowed_down() {
    let host = Host::first().await;
    let good = host.token(Role::Worker).await;
    let wrong = JoinToken::new(good.digest(), &random::secret()).unwrap().to_string();
    let mut codes = Vec::new();
    for _ in 0..25 {
        codes.push(ask(&host, &wrong).await.unwrap_err().code());
    }
    assert_eq!(codes[0], Code::PermissionDenied);
    assert_eq!(codes[24], Code::ResourceExhausted);
    // Others may stand behind the same address.
    assert!(ask(&host, &good.to_string()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_the_same_time_are_no_more_than_one_after_the_other() {
    let host = Host::first().await;
    let digest = host.token(Role::Worker).await.digest();
    let channel = admission::channel(&host.addr.to_string(), &digest).await.unwrap();
    let guesses = (0..120).map(|_| {
        let (_, mut request) = admission_request("w1");
        request.token = JoinToken::new(digest, &random::secret()).unwrap().to_string();
        let mut ca = CaClient::new(channel.clone());
        async move { ca.issue(request).await.unwrap_err().code() }
    });
    let codes = futures::future::join_all(guesses).await;
    let judged = codes.iter().filter(|code| **code == Code::PermissionDenied).count();
    // One comes back every three seconds.
    assert!((20..=25).contains(&judged), "{judged}");
}

/// The certificate of the first answer, and whatever comes of asking again.
async fn asked_again(
    host: &Host,
    request: &v1::IssueRequest,
    between: impl AsyncFnOnce(&Host, &str),
) -> (Result<v1::IssueResponse, Status>, Result<v1::IssueResponse, Status>) {
    let digest = host.credentials.ca_digest();
    let channel = admission::channel(&host.addr.to_string(), &digest).await.unwrap();
    let mut ca = CaClient::new(channel);
    let first = ca.issue(request.clone()).await.unwrap().into_inner();
    between(host, &first.node).await;
    let same = ca.issue(request.clone()).await.map(tonic::Response::into_inner);
    let (_, csr_der) = new_key_and_csr().unwrap();
    let other = v1::IssueRequest { csr_der, ..request.clone() };
    (same, ca.issue(other).await.map(tonic::Response::into_inner))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_a_token_that_was_used_once_is_good_for_the_same_key_alone() {
    let host = Host::first().await;
    let create = v1::CreateJoinTokenRequest {
        role: v1::Role::Worker.into(),
        uses: 1,
        ..v1::CreateJoinTokenRequest::default()
    };
    let made = host.control().await.create_join_token(create).await.unwrap().into_inner();
    let (_, mut request) = admission_request("w1");
    request.token = made.token;
    let (same, other) = asked_again(&host, &request, async |_, _| {}).await;
    assert!(same.is_ok(), "the first answer may have been lost: {same:?}");
    assert_eq!(other.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(host.manager.read(|state| state.nodes().len()), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_whoever_asks_again_is_judged_by_what_became_of_its_node() {
    let host = Host::first().await;
    let (_, mut request) = admission_request("w1");
    request.token = host.token(Role::Worker).await.to_string();
    let (same, other) = asked_again(&host, &request, async |host, node| {
        let remove = v1::RemoveNodeRequest { reference: node.to_owned(), force: true, ..Default::default() };
        host.control().await.remove_node(remove).await.unwrap();
    })
    .await;
    assert_eq!(same.unwrap_err().code(), Code::PermissionDenied, "the node was removed");
    assert!(other.is_ok(), "a standing token admits another node");
    let (_, mut request) = admission_request("m2");
    request.token = host.token(Role::Manager).await.to_string();
    request.listen_port = host.addr.port().into();
    let (same, _) = asked_again(&host, &request, async |host, node| {
        let update = v1::UpdateNodeRequest {
            reference: node.to_owned(),
            role: v1::Role::Worker.into(),
            ..v1::UpdateNodeRequest::default()
        };
        host.control().await.update_node(update).await.unwrap();
    })
    .await;
    assert_eq!(same.unwrap().role(), v1::Role::Worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_renews_and_stays_what_it_is() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let channel = Dialler::new(worker.credentials.clone()).to_manager(&host.addr.to_string()).await.unwrap();
    let (key, csr_der) = new_key_and_csr().unwrap();
    let answer = CaClient::new(channel).renew(v1::RenewRequest { csr_der }).await.unwrap().into_inner();
    let renewed =
        NodeIdentity::new(key, &answer.certificate_chain, &worker.credentials.root_ca_pem()).unwrap();
    assert_eq!(renewed.peer().node, worker.node());
    assert_eq!(renewed.peer().role, Role::Worker);
    let channel = admission::channel(&host.addr.to_string(), &host.credentials.ca_digest()).await.unwrap();
    let (_, csr_der) = new_key_and_csr().unwrap();
    let stranger = CaClient::new(channel).renew(v1::RenewRequest { csr_der }).await.unwrap_err();
    assert_eq!(stranger.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_cannot_be_reached_is_not_taken_in() {
    let host = Host::first().await;
    let token = host.token(Role::Manager).await;
    let (_, mut request) = admission_request("m2");
    request.token = token.to_string();
    // Reserved and let go: nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (port, said) in [(closed, "--advertise-addr"), (0, "able to listen")] {
        request.listen_port = port.into();
        let channel = admission::channel(&host.addr.to_string(), &token.digest()).await.unwrap();
        let status = CaClient::new(channel).issue(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(said), "{}", status.message());
    }
    assert_eq!(host.manager.read(|state| state.nodes().len()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_another_cluster_is_refused_before_it_can_ask() {
    let (ours, theirs) = (Host::first().await, Host::first().await);
    let dialler = Dialler::new(theirs.credentials.clone());
    let refused = dialler.to_manager(&ours.addr.to_string()).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("another cluster"), "{refused}");
}
