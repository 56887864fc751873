//! Credentials replaced while everything runs.

use crate::world::{Cluster, DAY_MS, Manager, eventually, now_ms, who_am_i};
use swarm_identity::{Credentials, CredentialsError, DialError, Dialler, Subject, Validity};
use swarm_model::Role;

#[tokio::test]
async fn the_listener_shows_the_new_certificate_and_keeps_old_connections() {
    let cluster = Cluster::new();
    let subject = cluster.subject(Role::Manager);
    // Expired, so that whether the old or the new one was shown can be told from outside.
    let past = Validity { from_ms: now_ms() - 2 * DAY_MS, until_ms: now_ms() - DAY_MS };
    let expired = Credentials::new(cluster.certify(&subject, past)).expect("credentials");
    let manager = Manager::start(expired, Default::default()).await;
    let dialler = cluster.dialler(Role::Worker);
    let error = dialler.to_manager(&manager.at()).await.expect_err("expired");
    assert!(matches!(error, DialError::Expired { .. }), "{error}");

    let renewed = || cluster.certify(&subject, Validity::starting(now_ms(), DAY_MS));
    manager.credentials.replace(renewed()).expect("replaced");
    let channel = dialler.to_manager(&manager.at()).await.expect("connected");
    who_am_i(&channel).await.expect("answered");

    manager.credentials.replace(renewed()).expect("replaced again");
    who_am_i(&channel).await.expect("the old connection lives on");
    assert_eq!(manager.connections.counts().members, 1);
}

/// A worker becomes a manager: its channel reconnects as what it now is.
#[tokio::test]
async fn a_channel_reconnects_with_the_credentials_of_that_moment() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let worker = cluster.subject(Role::Worker);
    let valid = Validity::starting(now_ms(), DAY_MS);
    let credentials = Credentials::new(cluster.certify(&worker, valid)).expect("credentials");
    let channel = Dialler::new(credentials.clone()).to_manager(&manager.at()).await.expect("connected");
    assert_eq!(who_am_i(&channel).await.expect("answered"), format!("worker {}", worker.node));

    let promoted = Subject { role: Role::Manager, ..worker.clone() };
    credentials.replace(cluster.certify(&promoted, valid)).expect("replaced");
    manager.connections.close_node(worker.node);
    let expected = format!("manager {}", worker.node);
    let mut said = String::new();
    for _ in 0..10 {
        // The first one or two may meet the connection that was cut.
        if let Ok(answer) = who_am_i(&channel).await {
            said = answer;
            break;
        }
    }
    assert_eq!(said, expected);
}

/// The other side went away and another cluster took its address: the RPC's error says so.
#[tokio::test]
async fn a_failed_reconnect_tells_why_in_the_status() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let manager = Manager::of(&cluster).await;
    let channel = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    // The manager turns into one of another cluster, as far as its certificate goes.
    let addr = manager.at();
    let (socket_addr, connections) = (manager.addr, manager.connections.clone());
    drop(manager);
    connections.close_all();
    eventually("all connections gone", || connections.counts().members == 0).await;
    let listener = loop {
        let credentials = other.credentials(Role::Manager);
        match swarm_identity::Listener::bind(socket_addr, credentials, Default::default()).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let _incoming = listener.incoming();
    let mut found = None;
    for _ in 0..10 {
        let status = who_am_i(&channel).await.expect_err("nobody of ours is there");
        found = DialError::of_status(&status).cloned();
        if found.is_some() {
            break;
        }
    }
    assert_eq!(found, Some(DialError::ForeignCa { addr }));
}

#[test]
fn another_node_or_cluster_does_not_replace_ours() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let credentials = cluster.credentials(Role::Worker);
    let before = credentials.peer();
    let error = credentials.replace(cluster.node(Role::Worker)).expect_err("another node");
    assert!(matches!(error, CredentialsError::OtherNode { .. }), "{error}");
    let same_node = Subject { node: before.node, ..other.subject(Role::Worker) };
    let identity = other.certify(&same_node, Validity::starting(now_ms(), DAY_MS));
    let error = credentials.replace(identity).expect_err("another cluster");
    assert!(matches!(error, CredentialsError::OtherCluster { .. }), "{error}");
    assert_eq!(credentials.peer(), before);
}
