//! Sessions as strangers, late comers and confused workers see them: S73 to S77.

use crate::harness::{Host, WorkerHost, control_of};
use crate::sessions::Session;
use swarm_identity::admission;
use swarm_proto::v1::control_client::ControlClient;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_proto::v1::manager_message::Message;
use swarm_proto::v1::{self, worker_message};
use tokio_stream::iter;
use tonic::Code;

fn heartbeat() -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(worker_message::Message::Heartbeat(v1::Heartbeat {})) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s73_a_heartbeat_before_a_registration_is_an_error_and_registering_helps() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let mut dispatcher = worker.dispatcher(&host).await;
    let status = dispatcher.session(iter([heartbeat()])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("begins with Register"), "{}", status.message());
    let session = Session::open(&worker, &host, &[]).await.unwrap();
    assert!(session.held.revision > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s74_a_node_that_registers_too_often_waits_and_the_others_do_not() {
    let host = Host::first().await;
    let (worker, other) = (WorkerHost::joined(&host, "w1").await, WorkerHost::joined(&host, "w2").await);
    for _ in 0..3 {
        Session::open(&worker, &host, &[]).await.unwrap();
    }
    let status = Session::open(&worker, &host, &[]).await.map(drop).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("another manager"), "{}", status.message());
    Session::open(&other, &host, &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s75_the_control_api_is_closed_to_workers_and_strangers() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let mut control = control_of(&worker.credentials, host.addr).await;
    let listed = control.list_nodes(v1::ListNodesRequest {}).await.unwrap_err();
    assert_eq!(listed.code(), Code::PermissionDenied);
    let made = control.create_network(v1::CreateNetworkRequest::default()).await.unwrap_err();
    assert_eq!(made.code(), Code::PermissionDenied);
    let (addr, digest) = (host.addr.to_string(), host.credentials.ca_digest());
    let strange = || admission::channel(&addr, &digest);
    let asked = ControlClient::new(strange().await.unwrap()).list_nodes(v1::ListNodesRequest {}).await;
    assert_eq!(asked.unwrap_err().code(), Code::Unauthenticated);
    let opened = DispatcherClient::new(strange().await.unwrap()).session(iter([heartbeat()])).await;
    assert_eq!(opened.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(host.networks().await, ["ingress"]);
}

/// A session is its stream: there is no id by which another node could speak in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s75_a_session_belongs_to_the_node_whose_certificate_opened_it() {
    let host = Host::first().await;
    let (one, two) = (WorkerHost::joined(&host, "w1").await, WorkerHost::joined(&host, "w2").await);
    let mut first = Session::open(&one, &host, &[]).await.unwrap();
    // Another node that gives the name of the first stays itself.
    let posing = WorkerHost { credentials: two.credentials.clone(), hostname: "w1".to_owned() };
    let second = Session::open(&posing, &host, &[]).await.unwrap();
    assert_ne!(first.id, second.id);
    host.create_network("web").await.unwrap();
    let (endpoint, revision) = one.attach(&host, "web", "a").await.unwrap();
    first.reach(revision).await;
    assert_eq!(endpoint.node, one.node().to_string());
    assert!(second.networks().is_empty());
    assert_eq!(two.detach(&host, &endpoint.id).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s76_the_first_assignment_is_the_whole_of_the_moment() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    host.create_network("web").await.unwrap();
    let (endpoint, revision) = worker.attach(&host, "web", "a").await.unwrap();
    let (session, _to_manager) =
        Session::open_silent(&worker, &host, std::slice::from_ref(&endpoint.id)).await.unwrap();
    assert!(session.held.revision >= revision && session.steps == 0);
    assert_eq!((session.networks(), session.held.endpoints.len()), (vec!["web".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s77_an_open_session_learns_who_the_managers_are() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let mut session = Session::open(&worker, &host, &[]).await.unwrap();
    assert_eq!(session.held.managers.len(), 1);
    let second = Host::joined(&host, "n2").await;
    while session.held.managers.len() < 2 {
        session.step().await.unwrap();
    }
    second.manager.leave(true).await.unwrap();
    while session.held.managers.len() > 1 {
        session.step().await.unwrap();
    }
    // The same one still beats.
    while !matches!(session.next().await.unwrap(), Some(Message::Heartbeat(_))) {}
}
