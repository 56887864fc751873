//! A histogram of powers of two, with the interface openraft asks of the crate `base2histogram`.
//!
//! Knows: counting. Must not know: what is counted.
//!
//! That crate (0.2.3) computes tables for sixteen precisions when the first histogram is made: 26 MB that stay resident
//! in every manager, for statistics nobody reads. This one counts in 65 buckets and keeps no tables.

use std::fmt;
use std::marker::PhantomData;

const BUCKETS: usize = 65;

/// Counts values by their number of significant bits. `T` is what the replaced crate ties to periods; none are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    buckets: [u64; BUCKETS],
    period: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    pub fn new() -> Self {
        Self { buckets: [0; BUCKETS], period: PhantomData }
    }

    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    pub fn record_n(&mut self, value: u64, count: u64) {
        if let Some(bucket) = self.buckets.get_mut((u64::BITS - value.leading_zeros()) as usize) {
            *bucket = bucket.saturating_add(count);
        }
    }

    /// How many values were recorded.
    pub fn total(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Least value of the bucket that holds the given share (0 to 1) of all values; 0 if there are none.
    pub fn percentile(&self, share: f64) -> u64 {
        let wanted = ((self.total() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0u64;
        for (bits, count) in self.buckets.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= wanted {
                return if bits == 0 { 0 } else { 1 << (bits - 1) };
            }
        }
        0
    }

    pub fn percentile_stats(&self) -> PercentileStats {
        let at = |share| self.percentile(share);
        PercentileStats {
            samples: self.total(),
            p0_1: at(0.001),
            p1: at(0.01),
            p5: at(0.05),
            p10: at(0.10),
            p50: at(0.50),
            p90: at(0.90),
            p99: at(0.99),
            p99_9: at(0.999),
        }
    }
}

/// Some percentiles of what was recorded, each the least value of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values, half of them {} or more, 1 in 100 {} or more", self.samples, self.p50, self.p99)
    }
}

/// Several histograms in one text, a line each.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart {
    lines: Vec<(String, Histogram)>,
}

impl AsciiChart {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    #[allow(clippy::should_implement_trait)] // The replaced crate's name for it.
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.lines.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines
            .iter()
            .try_for_each(|(name, histogram)| writeln!(f, "{name}: {}", histogram.percentile_stats()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_factor_of_two() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!((histogram.total(), histogram.percentile(0.5)), (0, 0));
        (0..1000).for_each(|value| histogram.record(value));
        histogram.record_n(u64::MAX, 2);
        let stats = histogram.percentile_stats();
        assert_eq!(stats.samples, 1002);
        assert_eq!((stats.p0_1, stats.p50, stats.p90), (1, 256, 512));
        assert_eq!(histogram.percentile(1.0), 1 << 63);
        let chart = AsciiChart::new().add("all", histogram).to_string();
        assert_eq!(chart, "all: 1002 values, half of them 256 or more, 1 in 100 512 or more\n");
    }
}
