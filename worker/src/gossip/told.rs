//! What the log says of others' comings and goings: all of it in quiet times, and so many lines a second however many there
//! are. Must not know what a verdict is made of.

use std::time::Duration;
use swarm_gossip::{Number, Verdict};
use tokio::time::Instant;

/// At once, and from then on one more after each pause.
const BURST: u32 = 100;
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Told {
    left: u32,
    since: Instant,
    untold: u64,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { left: BURST, since: Instant::now(), untold: 0 }
    }

    pub(super) fn tell(&mut self, of: Number, verdict: Verdict) {
        if !self.may(Instant::now()) {
            self.untold += 1;
            return;
        }
        let untold = std::mem::take(&mut self.untold);
        if untold > 0 {
            tracing::warn!(
                untold,
                "gossip said more than was written down: somebody's word changes all the time"
            );
        }
        tracing::info!(node = %of.node(), ?verdict, "gossip says");
    }

    fn may(&mut self, now: Instant) -> bool {
        let pauses = now.saturating_duration_since(self.since).as_millis() / PAUSE.as_millis();
        if pauses > 0 {
            self.left = self.left.saturating_add(u32::try_from(pauses).unwrap_or(BURST)).min(BURST);
            self.since = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, Told};
    use std::time::Duration;

    #[test]
    fn a_member_that_never_stops_fills_no_disk() {
        let mut told = Told::new();
        let begun = told.since;
        let mut lines = |after: u64| {
            let now = begun + Duration::from_secs(after);
            (0..100_000).filter(|_| told.may(now)).count()
        };
        assert_eq!([lines(0), lines(3), lines(100_000)], [BURST as usize, 3, BURST as usize]);
    }
}
