//! When to judge what was heard, and when to look at a place again. Knows: clocks and bounds. Must not know: what was
//! heard, or what is looked at.

use std::time::Duration;
use tokio::time::Instant;

/// Words about one change come in a bunch; the last ones count.
const SETTLE: Duration = Duration::from_millis(20);
/// However many changes are made one after the other: so long what was heard waits at most.
const SETTLE_MOST: Duration = Duration::from_secs(1);
/// Looking because of events may take at most this part of the time, so that a storm of damage does not become a storm
/// of looking.
const SHARE: u32 = 4;
/// So much looking at a stretch is not waited for: damage done by one hand is mended at once, also damage after damage.
const CREDIT: Duration = Duration::from_millis(500);

/// From the first word until it is judged.
#[derive(Default)]
pub struct Settle {
    waiting: Option<Waiting>,
}

struct Waiting {
    until: Instant,
    at_the_latest: Instant,
}

impl Settle {
    pub fn heard(&mut self, now: Instant) {
        self.waiting.get_or_insert(Waiting { until: now + SETTLE, at_the_latest: now + SETTLE_MOST });
    }

    /// Steps were taken meanwhile; word of those comes in first.
    pub fn acted(&mut self, now: Instant) {
        if let Some(waiting) = &mut self.waiting {
            waiting.until = (now + SETTLE).min(waiting.at_the_latest);
        }
    }

    pub fn judged(&mut self) {
        self.waiting = None;
    }

    /// When to judge; `None` while nothing was heard.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| waiting.until)
    }

    /// True when what was heard comes before anything new that is to be done.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.at_the_latest <= now)
    }
}

/// What looking has cost, and what is paid off as time goes by.
pub struct Budget {
    debt: Duration,
    at: Instant,
}

impl Budget {
    pub fn new(now: Instant) -> Self {
        Self { debt: Duration::ZERO, at: now }
    }

    pub fn looked(&mut self, took: Duration, now: Instant) {
        self.debt = self.debt.saturating_sub(now - self.at) + took * SHARE;
        self.at = now;
    }

    /// Not before this a look because of events.
    pub fn rest_until(&self) -> Instant {
        self.at + self.debt.saturating_sub(CREDIT * SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn damage_after_damage_is_looked_at_at_once_and_a_storm_is_not() {
        let begun = Instant::now();
        let mut budget = Budget::new(begun);
        for number in 1..=20 {
            let now = begun + number * 20 * MS;
            assert!(budget.rest_until() <= now, "look {number} of a small place");
            budget.looked(10 * MS, now);
        }
        // A large place, damaged without end: a quarter of the time is spent on looking.
        let (mut budget, mut now, mut looks) = (Budget::new(begun), begun, 0);
        while now < begun + 60_000 * MS {
            now = budget.rest_until().max(now) + 300 * MS;
            budget.looked(300 * MS, now);
            looks += 1;
        }
        assert!((48..=56).contains(&looks), "{looks} looks of 300 ms in a minute");
    }

    #[test]
    fn what_was_heard_waits_for_our_own_steps_but_not_for_ever() {
        let begun = Instant::now();
        let mut settle = Settle::default();
        settle.acted(begun);
        assert_eq!(settle.due(), None);
        settle.heard(begun);
        settle.heard(begun + 5 * MS);
        assert_eq!(settle.due(), Some(begun + SETTLE), "counted from the first word");
        settle.acted(begun + 15 * MS);
        assert_eq!(settle.due(), Some(begun + 15 * MS + SETTLE));
        assert!(!settle.is_overdue(begun + 999 * MS));
        settle.acted(begun + 999 * MS);
        assert_eq!(settle.due(), Some(begun + SETTLE_MOST));
        assert!(settle.is_overdue(begun + SETTLE_MOST));
        settle.judged();
        assert_eq!((settle.due(), settle.is_overdue(begun + SETTLE_MOST)), (None, false));
    }
}
