//! How many refusals of one caller are written: whoever asks for what it may not have must not push the rest out of the
//! log. Those beyond are counted.
//! Knows: a bucket that refills for each caller. Must not know: what a caller is, clocks (the caller of this says what time
//! it is).

use std::collections::BTreeMap;
use std::time::Instant;

/// Refusals that are written at once, and from then on in each second.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub burst: f64,
    pub rate: f64,
}

/// Callers told apart; the rest are one.
const MOST_CALLERS: usize = 1_024;
const THE_REST: &str = "others";

#[derive(Debug, Default)]
pub struct Flood(BTreeMap<String, Bucket>);

#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    /// How many of the burst are used up, and since when that is so.
    used: f64,
    at: Option<Instant>,
    /// Refusals that are not written, nor their number yet.
    unsaid: u64,
}

impl Bucket {
    /// What is used up still.
    fn left(&self, pace: Pace, now: Instant) -> f64 {
        let since = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        (self.used - since * pace.rate).max(0.0)
    }

    fn takes(&mut self, pace: Pace, now: Instant) -> bool {
        self.used = self.left(pace, now);
        self.at = Some(now);
        let fits = self.used + 1.0 <= pace.burst;
        if fits {
            self.used += 1.0;
        } else {
            self.unsaid += 1;
        }
        fits
    }
}

impl Flood {
    /// Whether one more refusal of this caller is to be written.
    pub fn allows(&mut self, who: &str, pace: Pace, now: Instant) -> bool {
        if let Some(bucket) = self.0.get_mut(who) {
            return bucket.takes(pace, now);
        }
        if self.0.len() >= MOST_CALLERS {
            self.0.retain(|_, bucket| bucket.unsaid > 0 || bucket.left(pace, now) > 0.0);
        }
        let known = if self.0.len() < MOST_CALLERS { who } else { THE_REST };
        self.0.entry(known.to_owned()).or_default().takes(pace, now)
    }

    /// Who was refused more often than is written, and how much more.
    pub fn unsaid(&self) -> Vec<(String, u64)> {
        let told = self.0.iter().filter(|(_, bucket)| bucket.unsaid > 0);
        told.map(|(who, bucket)| (who.clone(), bucket.unsaid)).collect()
    }

    /// These numbers are written now.
    pub fn said(&mut self, numbers: &[(String, u64)]) {
        for (who, number) in numbers {
            if let Some(bucket) = self.0.get_mut(who) {
                bucket.unsaid = bucket.unsaid.saturating_sub(*number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PACE: Pace = Pace { burst: 20.0, rate: 5.0 };

    #[test]
    fn a_flood_is_cut_and_counted_and_a_trickle_is_not() {
        let (mut flood, start) = (Flood::default(), Instant::now());
        let mut written = |at| (0..1_000).filter(|_| flood.allows("w1", PACE, at)).count();
        assert_eq!(written(start), 20);
        assert_eq!(written(start + Duration::from_secs(2)), 10);
        let unsaid = flood.unsaid();
        assert_eq!(unsaid, [("w1".to_owned(), 2_000 - 30)]);
        flood.said(&unsaid);
        assert!(flood.unsaid().is_empty());
    }

    #[test]
    fn one_caller_uses_up_nothing_of_another_s() {
        let (mut flood, now) = (Flood::default(), Instant::now());
        assert_eq!((0..1_000).filter(|_| flood.allows("w1", PACE, now)).count(), 20);
        assert!(flood.allows("w2", PACE, now));
    }

    #[test]
    fn callers_without_end_are_one_beyond_a_bound() {
        let (mut flood, now) = (Flood::default(), Instant::now());
        let written = (0..10_000).filter(|number| flood.allows(&number.to_string(), PACE, now)).count();
        assert_eq!(written, MOST_CALLERS + 20);
        assert!(flood.0.len() <= MOST_CALLERS + 1);
    }
}
