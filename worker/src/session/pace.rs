//! How long to wait before the next attempt. Pure: the random part is handed in.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(1000);

/// Grows from 50 ms to 1 s, and is between half of that and the whole, so that those who lost a manager together do
/// not come back together. After a session that worked the next manager is tried almost at once.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    failures: u32,
}

impl Pace {
    pub(crate) fn worked(&mut self) {
        self.failures = 0;
    }

    /// Whether the last attempt was a session that worked.
    pub(crate) fn has_worked(&self) -> bool {
        self.failures == 0
    }

    /// `random` is any number.
    pub(crate) fn failed(&mut self, random: u32) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_a_second_and_never_nothing(randoms in prop::collection::vec(any::<u32>(), 1..80)) {
            let mut pace = Pace::default();
            for random in randoms {
                let wait = pace.failed(random);
                prop_assert!(wait >= FIRST / 2 && wait <= LONGEST);
            }
            pace.worked();
            prop_assert!(pace.failed(u32::MAX) <= FIRST);
        }
    }
}
