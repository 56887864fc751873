//! Our own accept loop on TCP 2377. Knows sockets, TLS handshakes and how many of each are allowed; tells who called.
//! Must not know what callers may do.
//!
//! A caller without a certificate is let in: admission needs it. A caller with one gets in only if our CA issued it for
//! our cluster. Handshakes run in tasks of their own with a deadline, so callers that stall delay nobody.

mod accept;
mod conn;
mod limits;
mod open;
mod patience;
mod server;

pub use accept::pause_after;
pub use conn::{Conn, ConnectedPeer};
pub use limits::{Cap, Limits};
pub use open::{Connections, OpenCounts};
pub use patience::Patience;
pub use server::{MOST_BROKEN_STREAMS, MOST_HEADER_BYTES, MOST_RESETS, MOST_STREAMS, local_server, server};

use crate::credentials::Credentials;
use accept::Doorman;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::Stream;

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

    /// Starts accepting, on the current runtime, until the stream is dropped. For `serve_with_incoming`; the server must
    /// be HTTP/2 only (tonic's default), because diallers wait for its settings.
    pub fn incoming(self) -> Incoming {
        let (conns, received) = mpsc::channel(WAITING_CONNECTIONS);
        let task = tokio::spawn(accept::accept(self.tcp, self.doorman, conns)).abort_handle();
        Incoming { received, task }
    }
}

/// Connections as they get through their handshakes. Never yields an error: those are dealt with inside.
pub struct Incoming {
    received: mpsc::Receiver<Conn>,
    task: AbortHandle,
}

impl Stream for Incoming {
    type Item = io::Result<Conn>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.received.poll_recv(cx).map(|conn| conn.map(Ok))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.task.abort();
    }
}
