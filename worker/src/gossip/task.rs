//! The one task that gossips: sockets and clock around a member. Goes on without any manager, with the members and keys of
//! the last assignment.

use super::boot;
use super::given::{Given, follow};
use super::member::{Leaving, Me, Member};
use super::streams::{Call, MOST_WAITING, Streams};
use crate::host::Host;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use swarm_gossip::Number;
use swarm_gossip::frame::MAX_DATAGRAM;
use swarm_model::GOSSIP_PORT;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Until a port is tried again.
const PORT_PAUSE: Duration = Duration::from_secs(10);
/// Datagrams looked at before timers get their turn.
const AT_ONCE: usize = 64;
/// Work in a second: a tenth or two of a processor. More comes only from who wants to keep this host busy, and waits.
const MOST_PER_SECOND: u32 = 100_000;

/// Runs until the worker stops. A host that cannot gossip is a host all the same.
pub(crate) async fn run(host: Arc<Host>) {
    let Some(number) = Number::of(&host.config.node) else { return };
    let (path, now_s) = (host.config.boot_file(), boot::now_s());
    let boot = tokio::task::spawn_blocking(move || boot::begin(path, now_s)).await;
    let boot = match boot.unwrap_or_else(|e| Err(io::Error::other(e))) {
        Ok(boot) => boot,
        Err(e) => return tracing::warn!("no gossip from here: {}: {e}", host.config.boot_file().display()),
    };
    if boot > now_s.saturating_add(boot::AHEAD_S) {
        tracing::warn!(
            "others do not listen to this node's gossip: by its clock of now, its clock of before was more than a day \
            ahead; once that is past it is heard again, or after it has left and joined anew"
        );
    }
    let sockets = async { (bind_datagrams().await, bind_streams().await) };
    let Some((datagrams, listener)) = host.stop.run_until_cancelled(sockets).await else { return };
    let me = Me { number, addr: SocketAddr::new(host.config.addr, GOSSIP_PORT), boot };
    let seed = u64::from_be_bytes(swarm_identity::random::bytes());
    let member = Member::new(me, seed, host.liveness.clone());
    gossip(member, (datagrams, listener), follow(host.clone()), host.stop.clone()).await;
}

/// Both families by one socket, where the host has both.
fn anywhere() -> [SocketAddr; 2] {
    let any = [IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::UNSPECIFIED)];
    any.map(|ip| SocketAddr::new(ip, GOSSIP_PORT))
}

async fn bind_datagrams() -> UdpSocket {
    until_free("UDP", || async { UdpSocket::bind(&anywhere()[..]).await }).await
}

async fn bind_streams() -> TcpListener {
    until_free("TCP", || async { TcpListener::bind(&anywhere()[..]).await }).await
}

async fn until_free<T, F: Future<Output = io::Result<T>>>(kind: &str, bind: impl Fn() -> F) -> T {
    let mut said = false;
    loop {
        match bind().await {
            Ok(socket) => return socket,
            Err(e) if !std::mem::replace(&mut said, true) => {
                tracing::warn!("no gossip from here until {kind} port {GOSSIP_PORT} is free: {e}");
            }
            Err(_) => {}
        }
        tokio::time::sleep(PORT_PAUSE).await;
    }
}

/// Until it is told to stop.
pub(super) async fn gossip(
    member: Member,
    (datagrams, listener): (UdpSocket, TcpListener),
    given: watch::Receiver<Given>,
    stop: CancellationToken,
) {
    let (calls, called) = mpsc::channel(MOST_WAITING);
    let streams = Streams::new(calls, stop.clone());
    tokio::spawn(streams.clone().accept(listener));
    let talk = Talk { member, datagrams, streams };
    stop.run_until_cancelled(talk.go_on(given, called)).await;
}

struct Talk {
    member: Member,
    datagrams: UdpSocket,
    streams: Streams,
}

impl Talk {
    async fn go_on(mut self, mut given: watch::Receiver<Given>, mut called: mpsc::Receiver<Call>) {
        given.mark_changed();
        let (mut second, mut spent) = (Instant::now(), 0);
        let mut buffer = [0; MAX_DATAGRAM + 1];
        loop {
            let due = self.member.due();
            tokio::select! {
                Ok(()) = given.changed() => {
                    let given = given.borrow_and_update().clone();
                    let leaving = self.member.follow(&given);
                    self.send(leaving);
                }
                Ok(()) = self.datagrams.readable(), if spent < MOST_PER_SECOND => self.drain(&mut buffer),
                Some(call) = called.recv(), if spent < MOST_PER_SECOND => {
                    let leaving = self.member.call(call);
                    self.send(leaving);
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    // What has arrived is heard before anybody is judged.
                    self.drain(&mut buffer);
                    let leaving = self.member.tick();
                    self.send(leaving);
                }
            }
            spent += self.member.spent();
            if second.elapsed() >= Duration::from_secs(1) {
                (second, spent) = (Instant::now(), 0);
            }
        }
    }

    /// Takes what has arrived, up to a bound.
    fn drain(&mut self, buffer: &mut [u8]) {
        for _ in 0..AT_ONCE {
            match self.datagrams.try_recv_from(buffer) {
                Ok((length, _)) => {
                    let leaving = self.member.datagram(buffer.get(..length).unwrap_or_default());
                    self.send(leaving);
                }
                // An answer to what was sent to where nobody listens.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
        }
    }

    fn send(&self, leaving: Vec<Leaving>) {
        for one in leaving {
            match one {
                // What cannot be sent now is lost on the way.
                Leaving::Datagram { frame, to } => {
                    drop(self.datagrams.try_send_to(&frame, mapped(to, &self.datagrams)));
                }
                Leaving::Stream { with, to } => self.streams.open(with, to),
            }
        }
    }
}

/// A socket of both families takes IPv4 addresses in IPv6's form.
fn mapped(addr: SocketAddr, socket: &UdpSocket) -> SocketAddr {
    match (addr.ip(), socket.local_addr().is_ok_and(|local| local.is_ipv6())) {
        (IpAddr::V4(ip), true) => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
        (IpAddr::V4(_) | IpAddr::V6(_), _) => addr,
    }
}
