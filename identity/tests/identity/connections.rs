//! Open connections: counted, capped, cut.

use crate::world::{Cluster, DAY_MS, Manager, eventually, now_ms, who_am_i};
use std::time::Duration;
use swarm_identity::{
    Cap, Credentials, DialError, Dialler, Limits, ListenError, Listener, OpenCounts, Served, Validity,
    admission, serve,
};
use swarm_model::Role;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

#[tokio::test]
async fn a_removed_node_is_cut_off_and_the_others_are_not() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let (removed, stays) = (cluster.credentials(Role::Worker), cluster.credentials(Role::Worker));
    let gone = Dialler::new(removed.clone());
    let channels = [
        gone.to_manager(&manager.at()).await.expect("connected"),
        gone.to_manager(&manager.at()).await.expect("connected"),
    ];
    let other = Dialler::new(stays).to_manager(&manager.at()).await.expect("connected");
    assert_eq!(manager.connections.counts().members, 3);

    manager.connections.close_node(removed.peer().node);
    eventually("the node's connections are gone", || manager.connections.counts().members == 1).await;
    who_am_i(&other).await.expect("untouched");
    drop(channels);

    // It may come back if its certificate is still good; and can be cut again.
    let again = gone.to_manager(&manager.at()).await.expect("connected");
    who_am_i(&again).await.expect("answered");
    manager.connections.close_node(removed.peer().node);
    eventually("cut again", || manager.connections.counts().members == 1).await;
}

#[tokio::test]
async fn counts_go_back_to_zero() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let member = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    let stranger = admission::channel(&manager.at(), &cluster.ca.digest()).await.expect("connected");
    eventually("handshakes done", || manager.connections.counts().handshakes == 0).await;
    let open = |counts: OpenCounts| (counts.handshakes, counts.strangers, counts.members);
    assert_eq!(open(manager.connections.counts()), (0, 1, 1));
    drop((member, stranger));
    eventually("all gone", || open(manager.connections.counts()) == (0, 0, 0)).await;
    let counts = manager.connections.counts();
    assert_eq!((counts.accepted, counts.refused), (2, 0), "what has been stays counted");
    let mut noise = tokio::net::TcpStream::connect(manager.at()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut noise, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    eventually("it is turned away", || manager.connections.counts().refused == 1).await;
}

#[tokio::test]
async fn strangers_have_a_cap_that_members_do_not_feel() {
    let cluster = Cluster::new();
    let limits = Limits { strangers: Cap { total: 9, per_address: 1 }, ..Limits::default() };
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let digest = cluster.ca.digest();
    let first = admission::channel(&manager.at(), &digest).await.expect("connected");
    let error = admission::channel(&manager.at(), &digest).await.expect_err("above the cap");
    assert_eq!(error, DialError::Closed { addr: manager.at() });
    let member = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    who_am_i(&member).await.expect("answered");
    drop(first);
    eventually("the place is free", || manager.connections.counts().strangers == 0).await;
    admission::channel(&manager.at(), &digest).await.expect("connected");
}

#[tokio::test]
async fn a_stranger_may_not_stay() {
    let cluster = Cluster::new();
    let limits = Limits { stranger_lifetime: Duration::from_millis(50), ..Limits::default() };
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let _kept = admission::channel(&manager.at(), &cluster.ca.digest()).await.expect("connected");
    eventually("sent away", || manager.connections.counts().strangers == 0).await;
}

#[tokio::test]
async fn a_member_stays_until_its_certificate_expires() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let short = Validity { from_ms: now_ms() - DAY_MS, until_ms: now_ms() + 2_500 };
    let identity = cluster.certify(&cluster.subject(Role::Worker), short);
    let dialler = Dialler::new(Credentials::new(identity).expect("credentials"));
    let channel = dialler.to_manager(&manager.at()).await.expect("connected");
    who_am_i(&channel).await.expect("answered");
    assert_eq!(manager.connections.counts().members, 1);
    eventually("cut at expiry", || manager.connections.counts().members == 0).await;
    let error = dialler.to_manager(&manager.at()).await.expect_err("expired");
    assert!(matches!(error, DialError::OwnExpired { .. }), "{error}");
}

#[tokio::test]
async fn a_port_in_use_and_an_address_that_is_not_ours_are_told_apart() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let bind = |addr| Listener::bind(addr, cluster.credentials(Role::Manager), Limits::default());
    let error = bind(manager.addr).await.err().expect("in use");
    assert!(matches!(error, ListenError::InUse { .. }), "{error}");
    let error = bind(([192, 0, 2, 1], 0).into()).await.err().expect("not ours");
    assert!(matches!(error, ListenError::NotLocal { .. }), "{error}");
}

#[tokio::test]
async fn nothing_listens_once_nobody_serves() {
    let cluster = Cluster::new();
    let any = ([127, 0, 0, 1], 0).into();
    let credentials = cluster.credentials(Role::Manager);
    let listener = Listener::bind(any, credentials.clone(), Limits::default()).await.expect("a port");
    let addr = listener.local_addr();
    let served = Served { members: Routes::default(), strangers: Routes::default() };
    let serving = tokio::spawn(serve(listener, served, CancellationToken::new()));
    drop(tokio::net::TcpStream::connect(addr).await.expect("listening"));
    serving.abort();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "still listening");
        tokio::task::yield_now().await;
    }
}
