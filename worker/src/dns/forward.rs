//! Asking the host's resolvers. Knows: their sockets, deadlines, and when the next one is asked. Must not know: which
//! sandbox asks.

use super::message::{Transport, failure};
use super::resolvers::Resolvers;
use super::tcp::{read_message, write_message};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

/// One server's time. Three of them fit into the five seconds a client waits by default.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// Queries under way for all sandboxes together; each holds a socket.
const MOST: usize = 1024;
/// Queries under way for one sandbox, so that one cannot take all.
pub(crate) const MOST_OF_ONE: usize = 128;
const HEADER_BYTES: usize = 12;

pub(crate) struct Forwarder {
    resolvers: Resolvers,
    room: Semaphore,
}

impl Forwarder {
    pub(crate) fn new(resolv_conf: PathBuf) -> Arc<Self> {
        Arc::new(Self { resolvers: Resolvers::new(resolv_conf), room: Semaphore::new(MOST) })
    }

    /// The answer to hand back: a server's own, or SERVFAIL when none had one. `None` for a query that is none.
    pub(crate) async fn ask(&self, query: &[u8], transport: Transport, one: &Semaphore) -> Option<Vec<u8>> {
        let (Ok(_one), Ok(_all)) = (one.try_acquire(), self.room.try_acquire()) else {
            return failure(query);
        };
        let mut worst = None;
        for server in self.resolvers.servers().iter() {
            let asked = tokio::time::timeout(ATTEMPT, exchange(*server, query, transport)).await;
            match asked {
                Ok(Ok(answer)) if is_final(&answer) => return Some(answer),
                Ok(Ok(answer)) => worst = Some(answer),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        worst.or_else(|| failure(query))
    }
}

/// SERVFAIL (2), NOTIMP (4) and REFUSED (5) say something of the server, not of the name: the next one is asked.
fn is_final(answer: &[u8]) -> bool {
    answer.get(3).is_some_and(|flags| !matches!(flags & 0x0f, 2 | 4 | 5))
}

async fn exchange(server: SocketAddr, query: &[u8], transport: Transport) -> io::Result<Vec<u8>> {
    let (client_id, question) = parts(query).ok_or(io::ErrorKind::InvalidInput)?;
    let id: [u8; 2] = swarm_identity::random::bytes();
    let mut ours = query.to_vec();
    ours.splice(..2, id);
    let fits = |answer: &[u8]| answers(answer, id, question);
    let mut answer = match transport {
        Transport::Udp => over_udp(server, &ours, fits).await?,
        // A server that takes no connections may still answer.
        Transport::Tcp => match over_tcp(server, &ours, &fits).await {
            Ok(answer) => answer,
            Err(_) => over_udp(server, &ours, &fits).await?,
        },
    };
    answer.splice(..2, client_id);
    Ok(answer)
}

/// A socket of its own for each query: a port that cannot be guessed (RFC 5452), and only that server is heard.
async fn over_udp(server: SocketAddr, query: &[u8], fits: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer.get(..length).filter(|answer| fits(answer)) {
            return Ok(answer.to_vec());
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8], fits: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_message(&mut stream, query).await?;
    let answer = read_message(&mut stream).await?;
    answer.filter(|answer| fits(answer)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The id and the question (name, type, class) of a message with one question.
fn parts(message: &[u8]) -> Option<([u8; 2], &[u8])> {
    let id = *message.first_chunk::<2>()?;
    let mut at = HEADER_BYTES;
    loop {
        match *message.get(at)? {
            0 => break,
            length if length < 64 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    message.get(HEADER_BYTES..at + 5).map(|question| (id, question))
}

/// True for an answer to that very query. Some servers answer in lower case.
fn answers(answer: &[u8], id: [u8; 2], question: &[u8]) -> bool {
    let is_answer = answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
    // A server may leave the question out of an error (rcode other than 0).
    let bare_error = answer.get(4..6) == Some(&[0, 0]) && answer.get(3).is_some_and(|f| f & 0x0f != 0);
    let asked = parts(answer).is_some_and(|(_, theirs)| theirs.eq_ignore_ascii_case(question));
    is_answer && answer.first_chunk() == Some(&id) && (asked || bare_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_to_the_question_counts() {
        let header = |id: u16, flags: u16| {
            [id.to_be_bytes(), flags.to_be_bytes(), [0, 1], [0; 2], [0; 2], [0; 2]].concat()
        };
        let message = |id, flags, name: &[u8]| [&header(id, flags), name, &[0, 0, 1, 0, 1]].concat();
        let query = message(7, 0x0100, b"\x03WeB");
        let (id, question) = parts(&query).unwrap();
        assert!(answers(&message(7, 0x8180, b"\x03web"), id, question));
        assert!(!answers(&message(8, 0x8180, b"\x03web"), id, question), "another id");
        assert!(!answers(&message(7, 0x0180, b"\x03web"), id, question), "a query");
        assert!(!answers(&message(7, 0x8180, b"\x03wex"), id, question), "another name");
        assert_eq!(parts(b"\0\x07\0\0\0\x01\0\0\0\0\0\0\xc0\x0c"), None, "a pointer in a question");
        assert_eq!(parts(&query[..14]), None);
        assert!(is_final(&message(7, 0x8183, b"\x03web")), "NXDOMAIN is passed through");
        assert!(!is_final(&message(7, 0x8182, b"\x03web")), "SERVFAIL is not");
    }
}
