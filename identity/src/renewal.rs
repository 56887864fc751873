//! When a certificate is renewed. Pure: must not know the clock, nor how a renewal is done.

use crate::issue::{BACKDATED_MS, Validity};

/// Part of the lifetime, in percent, before which none renews by itself, and after which all should have.
const EARLIEST: u64 = 50;
const LATEST: u64 = 80;

/// Milliseconds since the epoch: somewhere between half and four fifths of the lifetime, where `seed` says, so that nodes
/// that were let in together do not all come back together. The lifetime begins where the certificate was made, not where
/// it was backdated to.
pub fn renew_at(validity: Validity, seed: u32) -> u64 {
    let made_ms = validity.from_ms.saturating_add(BACKDATED_MS).min(validity.until_ms);
    let lifetime = u128::from(validity.until_ms - made_ms);
    let share = u128::from(seed) * u128::from(LATEST - EARLIEST);
    // In parts of 100 · 2³²: whole numbers, and exact.
    let parts = (u128::from(EARLIEST) << 32) + share;
    let after = (lifetime * parts) / (100u128 << 32);
    made_ms.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn s71_a_certificate_of_an_hour_is_renewed_after_30_to_48_minutes() {
        let now_ms = 1_700_000_000_000;
        let validity = Validity::starting(now_ms, HOUR_MS);
        assert_eq!(renew_at(validity, 0), now_ms + 30 * 60_000);
        let latest = renew_at(validity, u32::MAX);
        assert!((now_ms + 48 * 60_000 - 1..=now_ms + 48 * 60_000).contains(&latest), "{latest}");
    }

    proptest! {
        #[test]
        fn it_is_always_between_half_and_four_fifths(now_ms in HOUR_MS..1 << 45, lifetime in 1u64..1 << 42, seed: u32) {
            let at = renew_at(Validity::starting(now_ms, lifetime), seed) - now_ms;
            prop_assert!(at >= lifetime / 2 && at <= lifetime * 4 / 5, "{at} of {lifetime}");
        }

        #[test]
        fn whatever_a_certificate_says_there_is_an_answer(from_ms: u64, until_ms: u64, seed: u32) {
            let at = renew_at(Validity { from_ms, until_ms }, seed);
            prop_assert!(at <= until_ms);
        }
    }
}
