//! How many bytes a caller may send: so many at once, then so many a second. Must not know who sends them or what.
//!
//! Frames that ask nothing (window updates, pings, priorities) cost nothing to send and something to read; who may
//! send only so many bytes may send only so many of them.

use std::time::Duration;
use tokio::time::Instant;

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub at_once: usize,
    pub per_second: usize,
}

/// What one caller has sent of it.
#[derive(Debug)]
pub(super) struct Meter {
    pace: Pace,
    sent: usize,
    /// Until when what comes back by time is counted.
    at: Instant,
}

impl Meter {
    pub(super) fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, sent: 0, at: now }
    }

    /// Whether anything may be read now. One read may go over what is left; it is made up for by waiting.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_millis();
        let back = passed.saturating_mul(self.pace.per_second as u128) / 1_000;
        if back > 0 {
            self.sent = self.sent.saturating_sub(usize::try_from(back).unwrap_or(usize::MAX));
            self.at = now;
        }
        self.sent < self.pace.at_once
    }

    /// So many were read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// When to look again.
    pub(super) fn again(&self) -> Instant {
        self.at + PAUSE
    }
}

/// Between two looks at a caller that has used up what it may send.
const PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { at_once: 1_000, per_second: 100 };

    fn used_up(now: Instant) -> Meter {
        let mut meter = Meter::new(PACE, now);
        assert!(meter.allows(now));
        meter.read(1_000);
        assert!(!meter.allows(now));
        meter
    }

    #[test]
    fn what_was_sent_is_forgiven_by_time_and_never_in_advance() {
        let start = Instant::now();
        let mut meter = used_up(start);
        assert!(meter.allows(start + Duration::from_millis(500)));
        let later = start + Duration::from_secs(600);
        assert!(meter.allows(later));
        meter.read(1_000);
        assert!(!meter.allows(later));
    }

    #[test]
    fn what_was_read_beyond_it_is_waited_for() {
        let start = Instant::now();
        let mut meter = used_up(start);
        meter.read(1_000);
        assert!(!meter.allows(start + Duration::from_secs(9)));
        assert!(meter.allows(start + Duration::from_secs(11)));
    }

    #[test]
    fn looking_often_loses_nothing() {
        let start = Instant::now();
        let mut meter = used_up(start);
        meter.read(99);
        let first = (0..=5_000).find(|ms| meter.allows(start + Duration::from_millis(*ms)));
        assert_eq!(first, Some(1_000));
    }
}
