//! A stranger's request: short, soon complete, and carried out where members' requests are.
//! Knows HTTP bodies; must not know what is asked.

use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Service, ServiceExt};

/// What strangers are served. Their frames are read on a thread of their own; what they ask for whole is done on
/// `runtime`, because it may leave tasks behind there that serve everybody (a link to the leader).
#[derive(Clone)]
pub(super) struct Desk {
    routes: Routes,
    runtime: Handle,
    bounds: Bounds,
}

/// What one request may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    /// From its headers to the last byte of it.
    pub(super) whole_within: Duration,
}

impl Desk {
    pub(super) fn new(routes: Routes, runtime: Handle, bounds: Bounds) -> Self {
        Self { routes, runtime, bounds }
    }
}

impl Service<http::Request<Body>> for Desk {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let bounds = self.bounds;
        let request = request.map(|body| Body::new(Short::new(body, bounds)));
        // Given up with the stream it came by.
        let done = AbortOnDropHandle::new(self.runtime.spawn(self.routes.clone().oneshot(request)));
        Box::pin(async move {
            Ok(done.await.unwrap_or_else(|_| Ok(unavailable())).unwrap_or_else(|e| match e {}))
        })
    }
}

/// The server is about to end, or a handler is broken.
fn unavailable() -> http::Response<Body> {
    Status::unavailable("this manager does not answer now: try again").into_http()
}

/// A body that ends with an error when it is too long or takes too long.
struct Short {
    body: Body,
    left: usize,
    bounds: Bounds,
    until: Pin<Box<Sleep>>,
}

impl Short {
    fn new(body: Body, bounds: Bounds) -> Self {
        let until = Box::pin(sleep_until(Instant::now() + bounds.whole_within));
        Self { body, left: bounds.bytes, bounds, until }
    }

    fn too_long(&self) -> Status {
        let most = self.bounds.bytes;
        Status::resource_exhausted(format!("a request without a certificate has {most} bytes at most"))
    }

    fn too_late(&self) -> Status {
        let within = self.bounds.whole_within;
        let sentence = format!("a request without a certificate is to be complete within {within:?}");
        Status::deadline_exceeded(sentence)
    }
}

impl http_body::Body for Short {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(self.too_late())));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else { return Poll::Pending };
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame?;
        let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
        let Some(left) = self.left.checked_sub(bytes) else {
            return Poll::Ready(Some(Err(self.too_long())));
        };
        self.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
