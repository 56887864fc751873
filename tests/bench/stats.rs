//! Numbers measured several times. Knows how to sum them up; must not know what was measured.

use anyhow::Result;
use std::time::Duration;

/// Measurements of one thing, in one unit.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// In milliseconds.
    pub fn push_time(&mut self, time: Duration) {
        self.push(time.as_secs_f64() * 1e3);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which `share` (0–1) of the measurements lie; 0 when there are none.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let at = (share * last as f64).ceil() as usize;
        sorted.get(at.min(last)).copied().unwrap_or_default()
    }

    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = sorted.get(middle).copied().unwrap_or_default();
        if sorted.len() % 2 == 1 {
            return upper;
        }
        let lower = middle.checked_sub(1).and_then(|at| sorted.get(at)).copied().unwrap_or_default();
        f64::midpoint(lower, upper)
    }

    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// `median (min–max, n=…)` with this unit.
    pub fn range(&self, unit: &str) -> String {
        let [median, min, max] = [self.median(), self.min(), self.max()].map(short);
        format!("{median} {unit} ({min}–{max}, n={})", self.len())
    }

    /// `p50 / p99 (n=…)` with this unit.
    pub fn tail(&self, unit: &str) -> String {
        let [p50, p99] = [self.median(), self.quantile(0.99)].map(short);
        format!("{p50} / {p99} {unit} (p50 / p99, n={})", self.len())
    }
}

/// Three significant digits, never with an exponent.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 10_000.0 => thousands(value),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Ours and the peer's in turn, `pairs` times: A B A B …
pub fn in_turn(
    pairs: usize,
    mut ours: impl FnMut(usize) -> Result<()>,
    mut peer: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    for round in 0..pairs {
        crate::interrupt::check()?;
        ours(round)?;
        crate::interrupt::check()?;
        peer(round)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_and_tails() {
        let sample = Sample((1..=100).map(f64::from).collect());
        assert_eq!((sample.median(), sample.quantile(0.99), sample.max()), (50.5, 100.0, 100.0));
        assert_eq!(Sample(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Sample::default().median(), 0.0);
    }

    #[test]
    fn digits() {
        let shown = [0.1234, 12.34, 123.4, 12_345.6, 1_234_567.0].map(short);
        assert_eq!(shown, ["0.12", "12.3", "123", "12,346", "1,234,567"]);
    }
}
