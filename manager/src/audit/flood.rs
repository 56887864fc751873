//! How many lines a second strangers may cause who are refused: a guesser must not push the rest out of the log.
//! Knows: a bucket that refills. Must not know: who they are, clocks (the caller says what time it is).

use std::time::Instant;

/// At once.
const BURST: f64 = 200.0;
/// From then on, each second.
const RATE: f64 = 5.0;

#[derive(Debug, Default)]
pub struct Flood {
    /// How many of the burst are used up, and since when that is so.
    used: f64,
    at: Option<Instant>,
}

impl Flood {
    pub fn allows(&mut self, now: Instant) -> bool {
        let since = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.used = (self.used - since * RATE).max(0.0);
        if self.used + 1.0 > BURST {
            return false;
        }
        self.used += 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_is_cut_and_a_trickle_is_not() {
        let (mut flood, start) = (Flood::default(), Instant::now());
        assert_eq!((0..1_000).filter(|_| flood.allows(start)).count(), BURST as usize);
        let later = start + Duration::from_secs(2);
        assert_eq!((0..1_000).filter(|_| flood.allows(later)).count(), 2 * RATE as usize);
    }
}
