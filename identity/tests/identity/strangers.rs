//! Callers without a certificate have few streams, small requests, little time, and few bytes a second.

use crate::frames::{PENDING, PROMPT, Raw};
use crate::hostile::{connect_by, stranger};
use crate::world::{Cluster, Manager, eventually, who_am_i};
use http::HeaderMap;
use std::time::Duration;
use swarm_identity::{Limits, STRANGER_BYTES, STRANGER_STREAMS, admission};
use swarm_model::Role;
use swarm_proto::v1::RenewRequest;
use swarm_proto::v1::ca_client::CaClient;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};

const LONG: Duration = Duration::from_secs(20);
const OK: u32 = 0;
const OUT_OF_RANGE: u32 = 11;
/// Less than a stranger has sent in this time when nothing holds it up.
const FLOOD_TIME: Duration = Duration::from_secs(3);
const HELD_UP: usize = 2 << 20;

#[tokio::test]
async fn a_stranger_has_a_few_streams() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let channel = admission::channel(&manager.at(), &cluster.ca.digest()).await.expect("connected");
    let asked: Vec<_> = (0..5 * STRANGER_STREAMS)
        .map(|_| {
            let mut client = CaClient::new(channel.clone());
            tokio::spawn(async move { client.renew(RenewRequest::default()).await })
        })
        .collect();
    let few = STRANGER_STREAMS as usize;
    eventually("as many as allowed are being answered", || manager.calls.now() == few).await;
    asked.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("all are given up", || manager.calls.now() == 0).await;
    who_am_i(&channel).await.expect("answered");
    assert_eq!(manager.calls.most(), few);
}

#[tokio::test]
async fn a_stranger_s_request_is_short() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let mut raw = Raw::stranger(&manager).await;
    let mut claimed = vec![0];
    claimed.extend((STRANGER_BYTES as u32 + 1).to_be_bytes());
    assert_eq!(raw.bytes(PROMPT, claimed).await.expect("refused"), OUT_OF_RANGE);
    let status = raw.message(PROMPT, &vec![0; STRANGER_BYTES + 1]).await.expect("refused");
    assert_ne!(status, OK);
    assert_eq!(raw.message(PROMPT, &[]).await.expect("answered"), OK);
}

/// Half of a message, and then nothing: the memory it lies in is not kept for long.
#[tokio::test]
async fn a_stranger_s_request_that_is_never_complete_is_given_up() {
    let cluster = Cluster::new();
    let limits = Limits { handshake_deadline: Duration::from_secs(1), ..Limits::default() };
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let mut raw = Raw::stranger(&manager).await;
    let mut call = raw.call(PENDING, HeaderMap::new()).await.expect("sent");
    let mut half = vec![0];
    half.extend((STRANGER_BYTES as u32).to_be_bytes());
    half.resize(STRANGER_BYTES / 2, 0);
    call.body.send_data(half.into(), false).expect("sent");
    let answer = timeout(LONG, call.answer).await.expect("in time").expect("an answer");
    assert!(answer.headers().get("grpc-status").is_some_and(|status| status != "0"), "{answer:?}");
}

/// Window updates of one byte: they ask nothing, and each has to be looked at.
#[tokio::test]
async fn frames_that_ask_nothing_are_read_at_a_bounded_pace() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(64 * 1_024).expect("small");
    let tcp = socket.connect(manager.addr).await.expect("connected");
    let mut stream = connect_by(tcp, &stranger()).await.expect("in");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("written");
    let frames = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1].repeat(1_000);
    let (until, mut sent) = (Instant::now() + FLOOD_TIME, 0);
    while let Ok(Ok(())) = tokio::time::timeout_at(until, stream.write_all(&frames)).await {
        sent += frames.len();
    }
    assert!(sent < HELD_UP, "{sent} bytes were taken");
    let honest = admission::channel(&manager.at(), &cluster.ca.digest()).await.expect("connected");
    who_am_i(&honest).await.expect("answered");
}
