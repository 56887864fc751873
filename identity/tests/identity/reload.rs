//! Credentials replaced while everything runs.

use crate::world::{Cluster, DAY_MS, Manager, now_ms, who_am_i};
use std::net::SocketAddr;
use swarm_identity::{Credentials, CredentialsError, DialError, Dialler, Subject, Validity};
use swarm_model::Role;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

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

/// Another cluster took over the address a channel goes to: the RPC's error says so.
#[tokio::test]
async fn a_failed_reconnect_tells_why_in_the_status() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let (manager, stranger) = (Manager::of(&cluster).await, Manager::of(&other).await);
    let (addr, target) = moving_address(manager.addr).await;
    let channel = cluster.dialler(Role::Worker).to_manager(&addr).await.expect("connected");
    who_am_i(&channel).await.expect("answered");

    target.send_replace(stranger.addr);
    manager.connections.close_all();
    let mut found = None;
    for _ in 0..10 {
        // The first one or two may meet the connection that was cut.
        let status = who_am_i(&channel).await.expect_err("nobody of ours is there");
        found = DialError::of_status(&status).cloned();
        if found.is_some() {
            break;
        }
    }
    assert_eq!(found, Some(DialError::ForeignCa { addr }));
}

/// An address whose connections go to where the sender says at that moment.
async fn moving_address(first: SocketAddr) -> (String, watch::Sender<SocketAddr>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = socket.local_addr().expect("bound").to_string();
    let (sender, target) = watch::channel(first);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = socket.accept().await {
            let target = *target.borrow();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(target).await.expect("connected");
                // Its end is the end of the connection, however that came about.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (addr, sender)
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
