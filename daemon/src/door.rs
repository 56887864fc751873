//! Who is let in at the local socket: so many at once, and nobody who says nothing.
//! Knows sockets and how many are open; must not know what is served.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use swarm_identity::{Patience, pause_after};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, UdsConnectInfo};

/// How many, and how patient.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// Connections at once. Each `swarmctl run` in the foreground keeps one.
    callers: usize,
    /// From connecting to the first words of HTTP/2.
    speaks_within: Duration,
}

pub const BOUNDS: Bounds = Bounds { callers: 2_048, speaks_within: Duration::from_secs(5) };
/// Accepted and not yet served.
const WAITING: usize = 16;

/// A connection to the local socket.
pub struct Guest {
    io: UnixStream,
    patience: Patience,
    _place: OwnedSemaphorePermit,
}

/// Accepts until the stream is dropped.
pub fn guests(socket: UnixListener, bounds: Bounds) -> ReceiverStream<io::Result<Guest>> {
    let (guests, received) = mpsc::channel(WAITING);
    tokio::spawn(accept(socket, bounds, guests));
    ReceiverStream::new(received)
}

async fn accept(socket: UnixListener, bounds: Bounds, guests: mpsc::Sender<io::Result<Guest>>) {
    let places = Arc::new(Semaphore::new(bounds.callers));
    let mut failures = 0;
    loop {
        let accepted = tokio::select! {
            () = guests.closed() => return,
            accepted = socket.accept() => accepted,
        };
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((io, _)), Ok(place)) => {
                failures = 0;
                let patience = Patience::new(bounds.speaks_within, None);
                let _ = guests.send(Ok(Guest { io, patience, _place: place })).await;
            }
            (Ok(_), Err(_)) => {
                tracing::warn!(
                    most = bounds.callers,
                    "closed a connection to the local socket: too many are open"
                );
            }
            (Err(error), _) => {
                let pause = pause_after(&error, failures);
                failures = failures.saturating_add(1);
                tracing::warn!(%error, ?pause, "could not accept a connection to the local socket");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

impl Connected for Guest {
    type ConnectInfo = UdsConnectInfo;

    fn connect_info(&self) -> UdsConnectInfo {
        self.io.connect_info()
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.patience.poll_over(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the caller said nothing")));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.patience.heard(buf.filled().len().saturating_sub(before));
        read
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
