//! How long a connection may last, and how long it may say nothing at first. Must not know who is at its other end.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The fixed words every HTTP/2 client begins with (RFC 9113 §3.4). HTTP/2's own pings begin only after them.
const PREFACE_BYTES: usize = 24;
/// For connections that may stay as long as they like.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Runs out when a connection does not begin to speak HTTP/2, and when its time is over.
pub struct Patience {
    over: Pin<Box<Sleep>>,
    said: usize,
    until: Instant,
}

impl Patience {
    pub fn new(speaks_within: Duration, at_most: Option<Duration>) -> Self {
        let now = Instant::now();
        let until = now + at_most.unwrap_or(FOREVER).min(FOREVER);
        Self { over: Box::pin(sleep_until(until.min(now + speaks_within))), said: 0, until }
    }

    /// Ready when it has run out.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.over.as_mut().poll(cx)
    }

    /// So many more bytes came.
    pub fn heard(&mut self, bytes: usize) {
        if self.said >= PREFACE_BYTES {
            return;
        }
        self.said = self.said.saturating_add(bytes);
        if self.said >= PREFACE_BYTES {
            self.over.as_mut().reset(self.until);
        }
    }
}
