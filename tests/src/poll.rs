//! Waiting: for a condition, up to a deadline, and never for a fixed time. Knows nothing of what is waited for.

use anyhow::{Result, anyhow};
use std::time::{Duration, Instant};

/// How long most things may take on a loaded two-core machine with debug builds; nothing is expected to need it.
pub const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// Gives the processor away between two looks at a condition.
#[allow(clippy::disallowed_methods)] // the one place that pauses: between two polls of a condition with a deadline
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Polls until `look` is done, or fails with its last reason after `limit`. Answers how long it took.
pub fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T>) -> Result<(T, Duration)> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok((found, begun.elapsed())),
            Err(reason) if begun.elapsed() > limit => {
                return Err(anyhow!("{what}: not within {limit:?}; the last look said: {reason:#}"));
            }
            Err(_) => pause(PAUSE),
        }
    }
}

/// `within` the usual patience.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Result<T>) -> Result<T> {
    within(PATIENCE, what, look).map(|(found, _)| found)
}
