//! Members over real sockets on this host: what they learn over streams, and what strangers get.

use super::given::Given;
use super::member::{Me, Member};
use super::task::gossip;
use super::{GossipKey, Liveness, Ring};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swarm_gossip::frame::MAX_DATAGRAM;
use swarm_gossip::{Number, Outbox, Verdict};
use swarm_model::{self as model, NodeId, SecretBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

struct Here {
    number: Number,
    addr: SocketAddr,
    liveness: Arc<Liveness>,
    _stop: DropGuard,
}

impl Here {
    fn node(&self) -> NodeId {
        self.number.node()
    }

    fn says(&self, of: &Self) -> Option<Verdict> {
        self.liveness.hearings().get(&of.node()).map(|hearing| hearing.verdict)
    }
}

fn number(member: usize) -> Number {
    Number([u8::try_from(member + 1).unwrap(); 16])
}

fn keys() -> Vec<model::GossipKey> {
    vec![model::GossipKey { generation: 1, secret: SecretBytes([7; 32]) }]
}

/// Members that begin together. The datagrams sent to the first `deaf` of them arrive where nobody reads them.
async fn members(count: usize, deaf: usize) -> Vec<Here> {
    let mut bound = Vec::new();
    let mut silent = Vec::new();
    for member in 0..count {
        let streams = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = streams.local_addr().unwrap();
        let at_addr = UdpSocket::bind(addr).await.unwrap();
        let datagrams = match member < deaf {
            true => {
                silent.push(at_addr);
                UdpSocket::bind("127.0.0.1:0").await.unwrap()
            }
            false => at_addr,
        };
        bound.push((datagrams, streams, addr));
    }
    let roster: Vec<_> =
        bound.iter().enumerate().map(|(member, (.., addr))| (number(member), *addr)).collect();
    let given = watch::Sender::new(Given { keys: keys(), roster });
    let here = |(member, (datagrams, streams, addr)): (usize, (UdpSocket, TcpListener, SocketAddr))| {
        let (liveness, stop) = (Arc::<Liveness>::default(), CancellationToken::new());
        let me = Me { number: number(member), addr, boot: 1 };
        let machine = Member::new(me, member as u64, liveness.clone());
        tokio::spawn(gossip(machine, (datagrams, streams), given.subscribe(), stop.clone()));
        Here { number: number(member), addr, liveness, _stop: stop.drop_guard() }
    };
    let all = bound.into_iter().enumerate().map(here).collect();
    // They stay bound: an answer that nobody listens would be a sign of life.
    tokio::spawn(async move {
        let _silent = silent;
        std::future::pending::<()>().await
    });
    all
}

async fn within(most: Duration, what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + most;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// By datagrams alone a member of twelve hears of the last when it has probed eleven, one a second.
#[tokio::test]
async fn newcomers_know_each_other_in_seconds() {
    let members = members(12, 0).await;
    let all_met = || members.iter().all(|member| member.liveness.hearings().len() == 11);
    within(Duration::from_secs(9), "everybody has heard of everybody", all_met).await;
}

#[tokio::test]
async fn who_hears_only_streams_is_not_taken_for_dead() {
    let members = members(2, 1).await;
    // Twice as long as one of two needs to be declared dead.
    let until = Instant::now() + Duration::from_secs(12);
    while Instant::now() < until {
        assert_ne!(members[1].says(&members[0]), Some(Verdict::Down), "it says on a stream that it is there");
        sleep(Duration::from_millis(20)).await;
    }
    let hearing = members[1].liveness.hearings().get(&members[0].node()).copied();
    let hearing = hearing.expect("it is heard of by streams");
    assert_eq!(hearing.round_trip, None, "it answers no probe");
}

/// Whether a stream that says this gets a byte before it is closed.
async fn answered(to: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut buffer = [0; 1];
    let read = timeout(Duration::from_secs(8), stream.read(&mut buffer)).await.expect("it is closed");
    read.is_ok_and(|length| length > 0)
}

fn with_length(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat()
}

#[tokio::test]
async fn a_stranger_on_a_stream_gets_no_byte_and_keeps_nobody_from_one() {
    let members = members(2, 0).await;
    let to = members[1].addr;
    let all_met = || members.iter().all(|member| member.liveness.hearings().len() == 1);
    within(Duration::from_secs(9), "they know each other", all_met).await;
    let ring = |secret| Ring::new(vec![GossipKey { generation: 1, secret: Zeroizing::new([secret; 32]) }]);
    let wrong_key = Outbox::new(number(0), 2).seal(&mut ring(8), number(1), &[11; 19]).unwrap();
    let no_member = Outbox::new(number(9), 2).seal(&mut ring(7), number(1), &[11; 19]).unwrap();
    let no_digest = Outbox::new(number(0), 2).seal(&mut ring(7), number(1), &[9, 0, 0]).unwrap();
    let before = members[1].liveness.frames_dropped();
    for frame in [&wrong_key, &no_member, &no_digest] {
        assert!(!answered(to, &with_length(frame)).await);
    }
    assert_eq!(members[1].liveness.frames_dropped(), before + 2, "two were not opened, one was nonsense");
    assert!(!answered(to, &[]).await, "who says nothing");
    assert!(!answered(to, &u32::MAX.to_be_bytes()).await, "who promises too much");
    let long = u32::try_from(MAX_DATAGRAM + 1).unwrap().to_be_bytes();
    assert!(!answered(to, &long).await, "who has not said who it is");
}

/// Found by a breaker: strangers at many addresses held all places, and every member was sent away.
#[tokio::test]
async fn silent_strangers_make_room_for_who_comes() {
    let members = members(2, 0).await;
    let to = members[1].addr;
    let mut held = Vec::new();
    for address in 1..=100u8 {
        for _ in 0..4 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 9, 9, address], 0))).unwrap();
            held.push(socket.connect(to).await.unwrap());
        }
    }
    let before = members[1].liveness.frames_dropped();
    let ring = |secret| Ring::new(vec![GossipKey { generation: 1, secret: Zeroizing::new([secret; 32]) }]);
    let frame = Outbox::new(number(0), 2).seal(&mut ring(8), number(1), &[11; 19]).unwrap();
    assert!(!answered(to, &with_length(&frame)).await);
    assert_eq!(members[1].liveness.frames_dropped(), before + 1, "it was not listened to");
}
