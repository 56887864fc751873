//! Clients that are through their handshake and misuse HTTP/2 or what is in it. Each bound is overrun for real; what
//! must hold beside it is that others, and the same connection where it may live, are served as before.

use crate::frames::{PENDING, PROMPT, Raw};
use crate::hostile::{client_as, connect, is_closed_tls};
use crate::world::{Cluster, Manager, eventually, who_am_i};
use http::HeaderMap;
use std::time::Duration;
use swarm_identity::{DialError, Dialler, Limits, MOST_HEADER_BYTES, MOST_STREAMS};
use swarm_model::Role;
use swarm_proto::MAX_MESSAGE_BYTES;
use swarm_proto::v1::RenewRequest;
use swarm_proto::v1::ca_client::CaClient;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

const LONG: Duration = Duration::from_secs(20);
/// Longest an honest call may take on a busy machine while a flood goes on.
const HONEST: Duration = Duration::from_secs(2);
const FLOOD: usize = 20_000;
const OK: u32 = 0;
const OUT_OF_RANGE: u32 = 11;

#[tokio::test]
async fn an_honest_client_that_gives_up_on_all_it_asked_keeps_its_connection() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let channel = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    for _ in 0..3 {
        let asked: Vec<_> = (0..MOST_STREAMS)
            .map(|_| {
                let mut client = CaClient::new(channel.clone());
                tokio::spawn(async move { client.renew(RenewRequest::default()).await })
            })
            .collect();
        eventually("all are being answered", || manager.calls.now() == MOST_STREAMS as usize).await;
        asked.iter().for_each(tokio::task::JoinHandle::abort);
        eventually("all are given up", || manager.calls.now() == 0).await;
        who_am_i(&channel).await.expect("the same connection");
    }
    assert_eq!(manager.connections.counts().members, 1);
}

#[tokio::test]
async fn more_streams_than_allowed_wait_their_turn() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let channel = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    let asked: Vec<_> = (0..2 * MOST_STREAMS)
        .map(|_| {
            let mut client = CaClient::new(channel.clone());
            tokio::spawn(async move { client.renew(RenewRequest::default()).await })
        })
        .collect();
    eventually("as many as allowed are being answered", || manager.calls.now() == MOST_STREAMS as usize)
        .await;
    asked.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("all are given up", || manager.calls.now() == 0).await;
    who_am_i(&channel).await.expect("answered");
    assert_eq!(manager.calls.most(), MOST_STREAMS as usize);
}

/// Streams opened and reset as fast as they can be sent (CVE-2023-44487).
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_flood_of_resets_is_bounded_and_delays_nobody() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let honest = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    let mut raw = Raw::member(&cluster, &manager).await;
    let flood = tokio::spawn(async move {
        for sent in 0..FLOOD {
            match raw.call(PENDING, HeaderMap::new()).await {
                Ok(call) => call.reset(),
                Err(_) => return sent,
            }
        }
        FLOOD
    });
    let mut slowest = Duration::ZERO;
    while !flood.is_finished() {
        let asked = Instant::now();
        timeout(LONG, who_am_i(&honest)).await.expect("in time").expect("answered");
        slowest = slowest.max(asked.elapsed());
    }
    let sent = flood.await.expect("sent");
    println!(
        "{sent} resets; at most {} calls at once; slowest honest call {slowest:?}",
        manager.calls.most()
    );
    assert!(manager.calls.most() <= MOST_STREAMS as usize, "{} calls at once", manager.calls.most());
    assert!(slowest < HONEST, "an honest call took {slowest:?}");
    eventually("nothing is left of the flood", || manager.calls.now() == 0).await;
    who_am_i(&honest).await.expect("answered");
}

#[tokio::test]
async fn a_message_above_the_bound_is_refused_and_the_connection_goes_on() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let mut raw = Raw::member(&cluster, &manager).await;
    let mut claimed = vec![0];
    claimed.extend((MAX_MESSAGE_BYTES as u32 + 1).to_be_bytes());
    assert_eq!(raw.bytes(PROMPT, claimed).await.expect("refused"), OUT_OF_RANGE);
    assert_eq!(raw.message(PROMPT, &vec![0; MAX_MESSAGE_BYTES + 1]).await.expect("refused"), OUT_OF_RANGE);
    assert_eq!(raw.message(PROMPT, &[]).await.expect("answered"), OK);
}

/// A group within a group within a group, without end: the decoder must not follow.
#[tokio::test]
async fn deeply_nested_protobuf_is_refused() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let mut raw = Raw::member(&cluster, &manager).await;
    let begin_group_of_field_15 = 15 << 3 | 3;
    for depth in [101, 10_000, 1_000_000] {
        let status = raw.message(PROMPT, &vec![begin_group_of_field_15; depth]).await.expect("refused");
        assert_ne!(status, OK, "{depth} groups");
    }
    assert_eq!(raw.message(PROMPT, &[]).await.expect("answered"), OK);
}

#[tokio::test]
async fn random_bytes_for_messages_are_refused_or_ignored_one_by_one() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let mut raw = Raw::stranger(&manager).await;
    for round in 0..300 {
        // A stranger may say only so much over one connection.
        if round % 50 == 49 {
            raw = Raw::stranger(&manager).await;
        }
        let noise: Vec<u8> = (0..16).flat_map(|_| swarm_identity::random::bytes::<16>()).collect();
        let noise = noise[..round % 256].to_vec();
        // As a message; and as the frame around one, which may never be complete.
        timeout(LONG, raw.message(PROMPT, &noise)).await.expect("in time").expect("a status");
        timeout(LONG, raw.bytes(PROMPT, noise)).await.expect("in time").expect("a status");
    }
    assert_eq!(raw.message(PROMPT, &[]).await.expect("answered"), OK);
}

#[tokio::test]
async fn headers_above_the_bound_reach_nobody() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let honest = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    let mut raw = Raw::member(&cluster, &manager).await;
    let mut headers = HeaderMap::new();
    let long = "x".repeat(MOST_HEADER_BYTES as usize + 1);
    headers.insert("long", long.parse().expect("a value"));
    let refused = match raw.call(PENDING, headers).await {
        Ok(call) => call.answer.await.map(|answer| answer.status().as_u16()),
        Err(error) => Err(error),
    };
    assert!(!matches!(refused, Ok(200)), "{refused:?}");
    assert_eq!(manager.calls.most(), 0);
    who_am_i(&honest).await.expect("answered");
}

#[tokio::test]
async fn noise_instead_of_http_2_ends_the_connection() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    for _ in 0..20 {
        let mut stream =
            connect(&manager, &client_as(&cluster, &cluster.subject(Role::Worker))).await.expect("in");
        let noise = swarm_identity::random::bytes::<512>();
        stream.write_all(&noise).await.expect("written");
        assert!(is_closed_tls(&mut stream).await);
    }
    eventually("nobody is inside", || manager.connections.counts().members == 0).await;
}

/// A certificate and then not a word: such a connection would be pinged by nobody.
#[tokio::test]
async fn a_member_that_never_begins_to_speak_is_sent_away() {
    let cluster = Cluster::new();
    let limits = Limits { handshake_deadline: Duration::from_millis(500), ..Limits::default() };
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let honest = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    let mut silent =
        connect(&manager, &client_as(&cluster, &cluster.subject(Role::Worker))).await.expect("in");
    silent.write_all(b"PRI * HTTP/2.0\r\n").await.expect("written");
    assert!(is_closed_tls(&mut silent).await);
    eventually("only the other is inside", || manager.connections.counts().members == 1).await;
    who_am_i(&honest).await.expect("answered");
}

#[tokio::test]
async fn one_node_fills_its_own_places_and_no_others() {
    let cluster = Cluster::new();
    let limits = Limits { per_node: 4, ..Limits::default() };
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let greedy = cluster.dialler(Role::Worker);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(greedy.to_manager(&manager.at()).await.expect("connected"));
    }
    let error = greedy.to_manager(&manager.at()).await.expect_err("above the cap");
    assert_eq!(error, DialError::Closed { addr: manager.at() });
    let other =
        Dialler::new(cluster.credentials(Role::Worker)).to_manager(&manager.at()).await.expect("connected");
    who_am_i(&other).await.expect("answered");
    held.clear();
    eventually("places are free", || manager.connections.counts().members == 1).await;
    greedy.to_manager(&manager.at()).await.expect("connected");
}
