//! Any bytes as a query. Must not know sockets.

use super::message::{Transport, Verdict, judge};
use hickory_proto::op::Message;
use std::net::IpAddr;
use swarm_overlay::dns::{Answer, Kind};

/// What a client that names no size takes at most over UDP, and what anybody takes.
const MOST_ANSWER: usize = 4096;

/// # Panics
/// An answer is no message, is not for this query, or is longer than may be sent over UDP.
pub fn dns_query(bytes: &[u8]) {
    for transport in [Transport::Udp, Transport::Tcp] {
        if let Verdict::Reply(reply) = judge(bytes, transport, ask) {
            assert!(transport == Transport::Tcp || reply.len() <= MOST_ANSWER, "{} bytes", reply.len());
            let answer = Message::from_vec(&reply);
            assert!(answer.is_ok_and(|a| bytes.starts_with(&a.metadata.id.to_be_bytes())), "not its answer");
        }
    }
}

/// A zone in which a name's first letter says what it has.
fn ask(name: &str, kind: Kind) -> (Answer, bool) {
    let answer = match (name.bytes().next(), kind) {
        (Some(b'n'), _) | (_, Kind::Ptr) => Answer::Names(vec!["a.my_net".into(), "b.my_net".into()]),
        (Some(b'e'), _) => Answer::Empty,
        (Some(b'a'..=b'm'), _) => Answer::Addresses((0..200).map(|n| IpAddr::from([10, 0, 0, n])).collect()),
        (Some(b'x'), _) => Answer::Addresses(vec![IpAddr::from([0xfd; 16])]),
        _ => Answer::Unknown,
    };
    (answer, name.len().is_multiple_of(2))
}
