//! The managers' addresses this host keeps for a day on which it has nothing newer. Pure.
//! Knows: when an address is forgotten. Must not know: who asks them what.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// An address is kept so long after a manager last listed it: a manager that is rebuilt or moves has to be found by those
/// that were away meanwhile.
pub const FORGET_AFTER_MS: u64 = 60 * 60 * 1_000;
/// Between two entries about one address: what does not change is written once in a while.
const NOTE_EVERY_MS: u64 = 10 * 60 * 1_000;
/// Addresses kept; those listed last stay.
const MOST: usize = 16;

/// The addresses, those to try first in front, and when each was last listed.
pub type Remembered = (Vec<SocketAddr>, BTreeMap<SocketAddr, u64>);

/// What to keep once a manager has listed the managers. Asked only while there is a session: time in which nobody could
/// have listed an address does not count against it. An address that was never listed counts from now on.
pub fn remember(kept: &Remembered, listed: &[SocketAddr], now_ms: u64) -> Remembered {
    let noted = |addr: &SocketAddr| {
        let before = kept.1.get(addr).copied().unwrap_or(now_ms);
        let due = now_ms.saturating_sub(before) >= NOTE_EVERY_MS;
        if listed.contains(addr) && due { now_ms } else { before }
    };
    let mut addresses: Vec<SocketAddr> = listed.to_vec();
    let others = kept.0.iter().filter(|addr| !listed.contains(addr));
    addresses.extend(others.filter(|addr| now_ms.saturating_sub(noted(addr)) < FORGET_AFTER_MS));
    let mut seen = Vec::new();
    addresses.retain(|addr| {
        !seen.contains(addr) && {
            seen.push(*addr);
            true
        }
    });
    addresses.truncate(MOST);
    let times = addresses.iter().map(|addr| (*addr, noted(addr))).collect();
    (addresses, times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 2377))
    }

    #[test]
    fn a_dead_address_is_forgotten_in_time() {
        let begun = remember(&(vec![at(1), at(2)], BTreeMap::new()), &[at(1)], 1_000);
        assert_eq!(begun.0, [at(1), at(2)]);
        let later = remember(&begun, &[at(3)], 1_000 + FORGET_AFTER_MS - 1);
        assert_eq!(later.0, [at(3), at(1), at(2)]);
        let gone = remember(&later, &[at(3)], 1_000 + FORGET_AFTER_MS);
        assert_eq!(gone.0, [at(3)]);
        assert_eq!(gone.1.len(), 1);
    }

    #[test]
    fn what_is_listed_stays_and_is_not_written_all_the_time() {
        let mut kept = remember(&(vec![], BTreeMap::new()), &[at(1)], 0);
        let mut writes = 0;
        for minute in 0..(3 * 24 * 60) {
            let next = remember(&kept, &[at(1)], minute * 60_000);
            writes += u32::from(next != kept);
            kept = next;
        }
        assert_eq!(kept.0, [at(1)]);
        assert!(writes <= 3 * 24 * 6, "{writes} writes");
        // A clock that goes back forgets nothing.
        assert_eq!(remember(&kept, &[at(2)], 5).0, [at(2), at(1)]);
    }

    #[test]
    fn there_is_a_bound() {
        let many: Vec<SocketAddr> = (0..200).map(at).collect();
        let kept = remember(&(many, BTreeMap::new()), &[at(250)], 0);
        assert_eq!((kept.0.len(), kept.0[0]), (MOST, at(250)));
    }
}
