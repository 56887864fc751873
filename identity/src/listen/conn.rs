//! One connection as the server sees it: bytes, and who sends them.

use super::limits::Pass;
use super::meter::Meter;
use super::open::Registered;
use super::patience::Patience;
use crate::peer::{Peer, UserPeer};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

/// Who is at the other end. Handlers find it by `request.extensions().get::<ConnectedPeer>()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedPeer {
    pub addr: SocketAddr,
    /// The node that calls. `None`: a user, or a caller without a certificate, who may only ask to be admitted.
    pub peer: Option<Peer>,
    /// The user that calls.
    pub user: Option<UserPeer>,
}

impl ConnectedPeer {
    /// Has shown no certificate.
    pub fn is_stranger(&self) -> bool {
        self.peer.is_none() && self.user.is_none()
    }
}

/// A connection that is through its handshake. Ends with an error once it is cut, and when its time is over: a
/// member's when its certificate expires, a stranger's after a moment, anybody's who does not begin to speak.
pub struct Conn {
    io: TlsStream<TcpStream>,
    who: ConnectedPeer,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    stay: Stay,
    /// Ends the pause of a caller that sent more than it may.
    pause: Option<Pin<Box<Sleep>>>,
}

/// What a connection holds on to as long as it is open.
pub(super) struct Stay {
    pub(super) registered: Registered,
    pub(super) _pass: Pass,
    pub(super) patience: Patience,
    /// `None`: may send what it likes.
    pub(super) meter: Option<Meter>,
}

impl Conn {
    pub(super) fn new(io: TlsStream<TcpStream>, who: ConnectedPeer, stay: Stay) -> Self {
        let cut = Box::pin(stay.registered.cut.clone().cancelled_owned());
        Self { io, who, cut, stay, pause: None }
    }

    pub fn who(&self) -> &ConnectedPeer {
        &self.who
    }

    /// Ready when the caller may send something. Not reading is what holds it up.
    fn poll_may_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(meter) = &mut self.stay.meter else { return Poll::Ready(()) };
        while !meter.allows(Instant::now()) {
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep_until(meter.again())));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    fn heard(&mut self, bytes: usize) {
        self.stay.patience.heard(bytes);
        if let Some(meter) = &mut self.stay.meter {
            meter.read(bytes);
        }
    }
}

impl Connected for Conn {
    type ConnectInfo = ConnectedPeer;

    fn connect_info(&self) -> ConnectedPeer {
        self.who.clone()
    }
}

fn ended(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, why)
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // HTTP/2 always has a read pending, so this is what wakes a connection that is to end.
        if Future::poll(self.cut.as_mut(), cx).is_ready() {
            return Poll::Ready(Err(ended("the connection was cut by this side")));
        }
        if self.stay.patience.poll_over(cx).is_ready() {
            return Poll::Ready(Err(ended("the connection's time is over")));
        }
        ready!(self.poll_may_send(cx));
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.heard(buf.filled().len().saturating_sub(before));
        read
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
