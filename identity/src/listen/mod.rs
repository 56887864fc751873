//! Our own accept loop on TCP 2377. Knows sockets, TLS handshakes and how many of each are allowed; tells who called.
//! Must not know what callers may do.
//!
//! A caller without a certificate is let in: admission needs it. A caller with one gets in only if our CA issued it for
//! our cluster. Handshakes run in tasks of their own with a deadline, so callers that stall delay nobody.

mod accept;
mod conn;
mod crowd;
mod limits;
mod meter;
mod open;
mod patience;
mod request;
mod serve;
mod server;

pub use accept::pause_after;
pub use conn::{Conn, ConnectedPeer};
pub use limits::{Cap, Limits};
pub use meter::Pace;
pub use open::{Connections, OpenCounts};
pub use patience::Patience;
pub use serve::{ServeError, Served, serve};
pub use server::{
    MOST_BROKEN_STREAMS, MOST_HEADER_BYTES, MOST_RESETS, MOST_STREAMS, STRANGER_BYTES, STRANGER_STREAMS,
    local_server,
};

use crate::credentials::Credentials;
use accept::{Doorman, Queues};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_util::task::AbortOnDropHandle;

/// Connections that are through their handshake and wait to be served.
const WAITING_CONNECTIONS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "address {addr} is in use by another process: stop it, or choose another port with --listen-addr"
    )]
    InUse { addr: SocketAddr },
    #[error("{addr} is no address of this host: choose one with --listen-addr")]
    NotLocal { addr: SocketAddr },
    #[error("not permitted to listen on {addr}: ports below 1024 need CAP_NET_BIND_SERVICE")]
    NotPermitted { addr: SocketAddr },
    #[error("could not listen on {addr}: {source}")]
    Other { addr: SocketAddr, source: io::Error },
}

/// A bound port that does not accept yet.
pub struct Listener {
    tcp: TcpListener,
    local: SocketAddr,
    doorman: Arc<Doorman>,
}

impl Listener {
    /// New connections always meet the credentials as they are then.
    pub async fn bind(
        addr: SocketAddr,
        credentials: Credentials,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        let tcp = TcpListener::bind(addr).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { addr },
            io::ErrorKind::AddrNotAvailable => ListenError::NotLocal { addr },
            io::ErrorKind::PermissionDenied => ListenError::NotPermitted { addr },
            _ => ListenError::Other { addr, source },
        })?;
        let local = tcp.local_addr().map_err(|source| ListenError::Other { addr, source })?;
        Ok(Self { tcp, local, doorman: Arc::new(Doorman::new(credentials, limits)) })
    }

    /// With the port the kernel chose, if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// A handle on what is open; outlives the stream.
    pub fn connections(&self) -> Connections {
        self.doorman.connections.clone()
    }

    /// Starts accepting, on the current runtime, until the members' stream is dropped. The servers behind must be HTTP/2
    /// only (tonic's default), because diallers wait for their settings.
    pub(super) fn incoming(self) -> Incoming {
        let (to_members, members) = mpsc::channel(WAITING_CONNECTIONS);
        let (to_strangers, strangers) = mpsc::channel(WAITING_CONNECTIONS);
        let queues = Queues { members: to_members, strangers: to_strangers };
        let task = AbortOnDropHandle::new(tokio::spawn(accept::accept(self.tcp, self.doorman, queues)));
        Incoming {
            members: Arriving { received: members, _accepting: Some(task) },
            strangers: Arriving { received: strangers, _accepting: None },
        }
    }
}

/// Connections as they get through their handshakes.
pub(super) struct Incoming {
    pub(super) members: Arriving,
    pub(super) strangers: Arriving,
}

/// Those of one kind. Never yields an error: those are dealt with inside.
pub(super) struct Arriving {
    received: mpsc::Receiver<Conn>,
    _accepting: Option<AbortOnDropHandle<()>>,
}

impl Stream for Arriving {
    type Item = io::Result<Conn>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.received.poll_recv(cx).map(|conn| conn.map(Ok))
    }
}
