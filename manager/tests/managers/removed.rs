//! What managers take from each other, and nothing of it from one that was removed or on hearsay.

use crate::harness::{Host, admit};
use crate::poll::until;
use std::net::SocketAddr;
use swarm_identity::{Credentials, Dialler, Limits, Listener, Served};
use swarm_manager::{followed, last_found};
use swarm_model::{Lineage, NodeId, Role};
use swarm_proto::v1;
use swarm_proto::v1::membership_client::MembershipClient;
use swarm_proto::v1::recovery_client::RecoveryClient;
use swarm_proto::v1::recovery_server::{Recovery, RecoveryServer};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

async fn channel(credentials: &Credentials, to: &Host) -> Channel {
    Dialler::new(credentials.clone()).to_manager(&to.addr.to_string()).await.unwrap()
}

async fn greet(credentials: &Credentials, to: &Host, greeting: v1::Greeting) -> Result<v1::Greeting, Status> {
    let answer = MembershipClient::new(channel(credentials, to).await).greet(greeting).await;
    answer.map(tonic::Response::into_inner)
}

async fn survey(credentials: &Credentials, to: &Host, epoch: u64) -> Result<v1::SurveyResponse, Status> {
    let answer =
        RecoveryClient::new(channel(credentials, to).await).survey(v1::SurveyRequest { epoch }).await;
    answer.map(tonic::Response::into_inner)
}

/// From one who says that the cluster went on without whoever is greeted, and that the others are where nobody is.
fn lies(of: &Host, others: &[&Host]) -> v1::Greeting {
    let later = Lineage::default().follow(7);
    let nowhere = |node: &&Host| v1::Whereabouts {
        node: node.node().to_string(),
        addr: "127.0.0.1:9".to_owned(),
        moves: u64::MAX,
    };
    v1::Greeting {
        epoch: later.epoch.as_u64(),
        past: swarm_proto::past(&later),
        own: Some(v1::Whereabouts { node: String::new(), addr: of.addr.to_string(), moves: 1 }),
        life: 1,
        others: others.iter().map(nowhere).collect(),
    }
}

fn keeps_to_its_own(host: &Host) {
    assert_eq!(host.manager.lineage(), Lineage::default());
    assert_eq!(followed(&host.dir().join("raft")), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_a_removed_managers_certificate_is_good_for_nothing() {
    let host = Host::first().await;
    let identity = admit(host.addr, &host.token(Role::Manager).await, "m2").await.unwrap();
    let removed = Credentials::new(identity).unwrap();
    let demote = v1::UpdateNodeRequest {
        reference: "m2".to_owned(),
        role: v1::Role::Worker.into(),
        ..v1::UpdateNodeRequest::default()
    };
    host.control().await.update_node(demote).await.unwrap();
    let remove = v1::RemoveNodeRequest { reference: "m2".to_owned(), force: true, ..Default::default() };
    host.control().await.remove_node(remove).await.unwrap();
    let refused = greet(&removed, &host, lies(&host, &[])).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("not a member"), "{}", refused.message());
    assert_eq!(survey(&removed, &host, 0).await.unwrap_err().code(), Code::PermissionDenied);
    // One from before a restore learns of the epoch it has to follow, and of nothing else.
    let told = survey(&removed, &host, Lineage::default().follow(9).epoch.as_u64()).await.unwrap();
    let node = host.node().to_string();
    assert_eq!(told, v1::SurveyResponse { node, ..v1::SurveyResponse::default() });
    keeps_to_its_own(&host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_what_a_manager_says_of_a_later_epoch_and_of_others_counts_once_it_is_found_to_be_so() {
    let first = Host::first().await;
    let second = Host::joined(&first, "n2").await;
    let third = Host::joined(&second, "n3").await;
    for _ in 0..3 {
        // It is on record, and its own swarmd knows nothing of this.
        let _ = greet(&third.credentials, &second, lies(&third, &[&first])).await;
    }
    keeps_to_its_own(&second);
    let found = survey(&first.credentials, &second, 0).await.unwrap().caller.unwrap();
    assert_eq!(found.addr, first.addr.to_string());
    assert!(found.moves < u64::MAX, "{found:?}");
    // Nor after a restart, when a manager follows whoever went on without it.
    let second = second.crash().restart().await;
    let _ = greet(&third.credentials, &second, lies(&third, &[&first])).await;
    until("it takes writes", async || second.create_network("after").await.ok()).await;
    keeps_to_its_own(&second);
}

/// Claims to be whoever it is told to, and that its caller was found somewhere else long since.
struct Liar {
    node: NodeId,
    found: SocketAddr,
}

#[tonic::async_trait]
impl Recovery for Liar {
    async fn survey(
        &self,
        _request: Request<v1::SurveyRequest>,
    ) -> Result<Response<v1::SurveyResponse>, Status> {
        let caller = v1::Whereabouts { node: String::new(), addr: self.found.to_string(), moves: 99 };
        Ok(Response::new(v1::SurveyResponse {
            node: self.node.to_string(),
            caller: Some(caller),
            ..v1::SurveyResponse::default()
        }))
    }
}

async fn lie(liar: Liar, credentials: &Credentials) -> SocketAddr {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(anywhere, credentials.clone(), Limits::default()).await.unwrap();
    let addr = listener.local_addr();
    let routes = Routes::new(RecoveryServer::new(liar));
    let served = Served { members: routes.clone(), strangers: routes };
    tokio::spawn(swarm_identity::serve(listener, served, CancellationToken::new()));
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_where_this_node_was_found_only_managers_that_were_listed_last_may_say() {
    let host = Host::first().await;
    let me = Dialler::new(host.credentials.clone());
    let identity = admit(host.addr, &host.token(Role::Manager).await, "m2").await.unwrap();
    let removed = Credentials::new(identity).unwrap();
    let found: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let (itself, host_id) = (removed.peer().node, host.node());
    let as_itself = lie(Liar { node: itself, found }, &removed).await.to_string();
    let as_another = lie(Liar { node: host_id, found }, &removed).await.to_string();
    let asked = [as_itself, as_another];
    assert_eq!(last_found(&me, &asked, &[host_id].into()).await, None);
    // The same word of one that is listed is good.
    assert_eq!(last_found(&me, &asked, &[itself].into()).await.unwrap().addr, found);
}
