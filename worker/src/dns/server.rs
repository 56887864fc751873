//! One sandbox's name server. Knows: its sockets and how much it takes on at a time. Must not know: what names mean.

use super::Queries;
use super::forward::{Forwarder, MOST_OF_ONE};
use super::message::{Transport, Verdict, judge};
use super::tcp::{IDLE, read_message, write_message};
use crate::assignment::Assignments;
use crate::gossip::Liveness;
use arc_swap::ArcSwap;
use nix::sys::socket::{setsockopt, sockopt::RcvBuf};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use swarm_model::NetworkId;
use swarm_netns::NetNs;
use swarm_overlay::dns::Order;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where sandboxes find their name server, as in Docker.
const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 11), 53);
/// Queries may wait in the socket while others are answered.
const RECEIVE_BYTES: usize = 1 << 20;
/// Larger queries than this do not exist; what is cut is answered as malformed.
const QUERY_BYTES: usize = 4096;
/// Queries answered before other tasks get their turn.
const AT_ONCE: usize = 64;
const TCP_CONNECTIONS: usize = 64;

/// The networks one sandbox is on; changed while its server runs.
#[derive(Clone)]
pub(crate) struct Names(Arc<ArcSwap<Vec<NetworkId>>>);

impl Names {
    pub(crate) fn new(networks: Vec<NetworkId>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(networks)))
    }

    pub(crate) fn set(&self, networks: Vec<NetworkId>) {
        self.0.store(Arc::new(networks));
    }
}

/// What a server answers from.
pub(crate) struct Context {
    pub(crate) assignments: Arc<Assignments>,
    pub(crate) names: Names,
    pub(crate) forwarder: Arc<Forwarder>,
    pub(crate) queries: Arc<Queries>,
    pub(crate) liveness: Arc<Liveness>,
}

struct Server {
    context: Context,
    /// Counts answers, so that several addresses take turns in being the first.
    turn: AtomicU64,
    room: Semaphore,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Opens the sockets inside the namespace, and serves them from here until stopped.
pub(crate) async fn serve(
    netns: &NetNs,
    context: Context,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> io::Result<()> {
    let (udp, tcp) = netns.run_async(open).await.map_err(io::Error::other)??;
    let server = Arc::new(Server {
        context,
        turn: AtomicU64::new(0),
        room: Semaphore::new(MOST_OF_ONE),
        stop,
        tasks: tasks.clone(),
    });
    tasks.spawn(server.clone().serve_udp(Arc::new(udp)));
    tasks.spawn(server.serve_tcp(tcp));
    Ok(())
}

/// Runs inside the namespace.
fn open() -> io::Result<(UdpSocket, TcpListener)> {
    swarm_netns::set_loopback_up()?;
    let udp = std::net::UdpSocket::bind(ADDRESS)?;
    udp.set_nonblocking(true)?;
    // The kernel caps it at net.core.rmem_max; a smaller buffer only drops sooner.
    let _ = setsockopt(&udp, RcvBuf, &RECEIVE_BYTES);
    let tcp = std::net::TcpListener::bind(ADDRESS)?;
    tcp.set_nonblocking(true)?;
    Ok((UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?))
}

impl Server {
    fn judge(&self, query: &[u8], transport: Transport) -> Verdict {
        let verdict = judge(query, transport, |name, kind| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let order = Order { turn, last: &|node| self.context.liveness.is_doubted(node) };
            self.context.assignments.zones.ask(&self.context.names.0.load(), (name, kind), order)
        });
        self.context.queries.count(&verdict);
        verdict
    }

    async fn serve_udp(self: Arc<Self>, socket: Arc<UdpSocket>) {
        let mut buffer = [0u8; QUERY_BYTES];
        loop {
            let ready = tokio::select! {
                ready = socket.readable() => ready,
                () = self.stop.cancelled() => return,
            };
            if let Err(e) = ready {
                tracing::warn!("a sandbox's name server ends: {e}");
                return;
            }
            for _ in 0..AT_ONCE {
                match socket.try_recv_from(&mut buffer) {
                    Ok((length, from)) => self.answer_udp(&socket, buffer.get(..length).unwrap_or(&[]), from),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    // What went wrong with an earlier answer (a client that is gone) is no concern of the next query.
                    Err(_) => {}
                }
            }
        }
    }

    fn answer_udp(self: &Arc<Self>, socket: &Arc<UdpSocket>, query: &[u8], from: SocketAddr) {
        match self.judge(query, Transport::Udp) {
            // A client whose socket is full asks again.
            Verdict::Reply(bytes) => drop(socket.try_send_to(&bytes, from)),
            Verdict::Forward => self.forward_udp(socket.clone(), query.to_vec(), from),
            Verdict::Drop => {}
        }
    }

    fn forward_udp(self: &Arc<Self>, socket: Arc<UdpSocket>, query: Vec<u8>, from: SocketAddr) {
        let server = self.clone();
        // Bounded: each holds room here and in the forwarder, or is answered at once.
        self.tasks.spawn(async move {
            let asked = server.context.forwarder.ask(&query, Transport::Udp, &server.room);
            let answer = tokio::select! {
                answer = asked => answer,
                () = server.stop.cancelled() => return,
            };
            if let Some(bytes) = answer {
                drop(socket.try_send_to(&bytes, from));
            }
        });
    }

    async fn serve_tcp(self: Arc<Self>, listener: TcpListener) {
        let connections = Arc::new(Semaphore::new(TCP_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                permit = connections.clone().acquire_owned() => match permit {
                    Ok(permit) => tokio::select! {
                        accepted = listener.accept() => accepted.map(|(stream, _)| (stream, permit)),
                        () = self.stop.cancelled() => return,
                    },
                    Err(_) => return,
                },
                () = self.stop.cancelled() => return,
            };
            // An error is the connection's, not the listener's (accept(2)): the next one may be fine.
            let Ok((stream, permit)) = accepted else {
                tokio::task::yield_now().await;
                continue;
            };
            let server = self.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    // A client that breaks off is its own business.
                    _ = server.talk(stream) => {}
                    () = server.stop.cancelled() => {}
                }
                drop(permit);
            });
        }
    }

    async fn talk(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        loop {
            let Some(query) = tokio::time::timeout(IDLE, read_message(&mut stream)).await?? else {
                return Ok(());
            };
            let answer = match self.judge(&query, Transport::Tcp) {
                Verdict::Reply(bytes) => Some(bytes),
                Verdict::Forward => self.context.forwarder.ask(&query, Transport::Tcp, &self.room).await,
                Verdict::Drop => None,
            };
            let Some(answer) = answer else { return Ok(()) };
            tokio::time::timeout(IDLE, write_message(&mut stream, &answer)).await??;
        }
    }
}
