//! The state's own time, made from the wall clocks that entries carry. Knows nothing of real clocks.

use crate::limits::MAX_STEP_MS;
use serde::{Deserialize, Serialize};

/// Runs forward only. A leader whose clock is hours behind or ahead of the one before must neither end every rest
/// at once for good nor freeze time until its clock has caught up, so what counts is the step between two entries:
/// none when it is backwards, at most `MAX_STEP_MS` when it is forwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Milliseconds of this clock; comparable with nothing else.
    pub ms: u64,
    /// The wall clock of the last entry.
    seen_ms: u64,
}

impl Clock {
    pub fn advance(&mut self, now_ms: u64) {
        let step = now_ms.saturating_sub(self.seen_ms).min(MAX_STEP_MS);
        self.ms = self.ms.saturating_add(step);
        self.seen_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_runs_backwards_and_never_freezes(walls in proptest::collection::vec(any::<u64>(), 1..50)) {
            let mut clock = Clock::default();
            for wall in walls {
                let before = clock.ms;
                clock.advance(wall);
                prop_assert!(clock.ms >= before && clock.ms - before <= MAX_STEP_MS);
                let jumped = clock.ms;
                clock.advance(wall.saturating_add(7));
                prop_assert_eq!(clock.ms - jumped, wall.saturating_add(7) - wall);
            }
        }
    }
}
