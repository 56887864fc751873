//! Durations as text. Pure.

pub use swarm_model::rfc3339;

/// `1h30m`, `1.5s`: as it may be typed again.
pub fn duration(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let part = |number: u64, unit: &str| if number == 0 { String::new() } else { format!("{number}{unit}") };
    let fraction = format!("{}.{:03}", seconds / 1000, seconds % 1000);
    let seconds = match fraction.trim_end_matches('0').trim_end_matches('.') {
        "0" if ms > 0 => String::new(),
        text => format!("{text}s"),
    };
    part(hours, "h") + &part(minutes, "m") + &seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration(90 * 24 * 3_600_000), "2160h");
        assert_eq!(duration(1_500), "1.5s");
        assert_eq!(duration(5_410_000), "1h30m10s");
        assert_eq!(duration(60_005), "1m0.005s");
        assert_eq!(duration(0), "0s");
    }
}
