//! Accepting, shaking hands, looking at the certificate once. Must not know gRPC.

use super::conn::{Conn, ConnectedPeer, Stay};
use super::crowd::Place;
use super::limits::Limits;
use super::meter::{Meter, Pace};
use super::open::Connections;
use super::patience::Patience;
use crate::credentials::Credentials;
use crate::peer::{Holder, PeerError};
use nix::errno::Errno;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_model::ClusterId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What every handshake needs.
pub(super) struct Doorman {
    credentials: Credentials,
    pub(super) deadline: Duration,
    stranger_lifetime: Duration,
    stranger_pace: Pace,
    pub(super) connections: Connections,
}

/// Where connections wait to be served.
#[derive(Clone)]
pub(super) struct Queues {
    pub(super) members: mpsc::Sender<Conn>,
    pub(super) strangers: mpsc::Sender<Conn>,
}

/// Why somebody who called is not let in.
#[derive(Debug, thiserror::Error)]
enum TurnedAway {
    #[error("the handshake took too long")]
    Slow,
    #[error("the handshake failed: {0}")]
    Handshake(#[from] io::Error),
    #[error("the certificate names nobody: {0}")]
    Subject(#[from] PeerError),
    #[error("the certificate is of cluster {0}")]
    Cluster(ClusterId),
    #[error("its place was needed for a newer handshake")]
    Crowded,
    #[error("too many connections are open")]
    Full,
    #[error("nobody serves connections any more")]
    Closed,
}

impl Doorman {
    pub(super) fn new(credentials: Credentials, limits: Limits) -> Self {
        let connections = Connections::new(&limits);
        let Limits { handshake_deadline: deadline, stranger_lifetime, stranger_pace, .. } = limits;
        Self { credentials, deadline, stranger_lifetime, stranger_pace, connections }
    }

    async fn admit(&self, tcp: TcpStream, addr: SocketAddr) -> Result<Conn, TurnedAway> {
        // Small answers wait for nobody; a kernel that refuses this only makes them slower.
        let _ = tcp.set_nodelay(true);
        let acceptor = TlsAcceptor::from(self.credentials.server_config());
        let io = timeout(self.deadline, acceptor.accept(tcp)).await.map_err(|_| TurnedAway::Slow)??;
        let holder = self.holder(&io)?;
        let gate = if holder.is_some() { &self.connections.members } else { &self.connections.strangers };
        let pass = gate.enter(addr.ip()).ok_or(TurnedAway::Full)?;
        let at_most = self.at_most(holder.as_ref());
        let meter = holder.is_none().then(|| Meter::new(self.stranger_pace, Instant::now()));
        let (peer, user) = match holder {
            None => (None, None),
            Some(Holder::Node(peer)) => (Some(peer), None),
            Some(Holder::User(user)) => (None, Some(user)),
        };
        let registered = self.connections.register(peer.as_ref().map(|p| p.node)).ok_or(TurnedAway::Full)?;
        let stay =
            Stay { registered, _pass: pass, patience: Patience::new(self.deadline, Some(at_most)), meter };
        Ok(Conn::new(io, ConnectedPeer { addr, peer, user }, stay))
    }

    fn at_most(&self, holder: Option<&Holder>) -> Duration {
        let Some(holder) = holder else { return self.stranger_lifetime };
        let until = UNIX_EPOCH + Duration::from_millis(holder.expires_ms());
        until.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
    }

    /// The certificate is of our CA if there is one: the handshake saw to that.
    fn holder(&self, io: &TlsStream<TcpStream>) -> Result<Option<Holder>, TurnedAway> {
        let Some(leaf) = io.get_ref().1.peer_certificates().and_then(|chain| chain.first()) else {
            return Ok(None);
        };
        let holder = Holder::from_der(leaf)?;
        if holder.cluster() != self.credentials.peer().cluster {
            return Err(TurnedAway::Cluster(holder.cluster()));
        }
        Ok(Some(holder))
    }

    async fn bring_in(&self, tcp: TcpStream, addr: SocketAddr, queues: &Queues) -> Result<(), TurnedAway> {
        let conn = self.admit(tcp, addr).await?;
        let queue = if conn.who().is_stranger() { &queues.strangers } else { &queues.members };
        match timeout(self.deadline, queue.send(conn)).await {
            Err(_) => Err(TurnedAway::Full),
            Ok(Err(_)) => Err(TurnedAway::Closed),
            Ok(Ok(())) => Ok(()),
        }
    }
}

/// Runs until nobody takes the connections any more.
pub(super) async fn accept(tcp: TcpListener, doorman: Arc<Doorman>, queues: Queues) {
    let mut failures = 0;
    loop {
        let accepted = tokio::select! {
            () = queues.members.closed() => return,
            accepted = tcp.accept() => accepted,
        };
        match accepted {
            Ok((stream, addr)) => {
                failures = 0;
                let place = doorman.connections.handshakes.enter(addr.ip());
                shake_hands(doorman.clone(), (stream, addr), place, queues.clone());
            }
            Err(error) => {
                let pause = pause_after(&error, failures);
                failures = failures.saturating_add(1);
                tracing::warn!(%error, ?pause, "could not accept a connection");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

fn shake_hands(doorman: Arc<Doorman>, (stream, addr): (TcpStream, SocketAddr), place: Place, queues: Queues) {
    tokio::spawn(async move {
        let came_in = place.taken.run_until_cancelled(doorman.bring_in(stream, addr, &queues)).await;
        let came_in = came_in.unwrap_or(Err(TurnedAway::Crowded));
        doorman.connections.tally(came_in.is_ok());
        if let Err(why) = came_in {
            tracing::debug!(%addr, %why, "turned a connection away");
        }
    });
}

/// How long to rest after a failed accept. Errors of the one connection cost nothing; while the process or the host is
/// out of something, the error comes back at once and would turn the loop into a busy one.
pub fn pause_after(error: &io::Error, failures: u32) -> Duration {
    let exhausted = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno) if !exhausted.contains(&errno) => Duration::ZERO,
        _ => Duration::from_millis(10 << failures.min(6)).min(Duration::from_millis(500)),
    }
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
