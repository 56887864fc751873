//! How often one address may fail to join: a bucket of attempts per address that refills slowly.
//! Knows: addresses and how long ago. Must not know: tokens, clocks (the caller says what time it is).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Failures an address may have at once. A person with a mistyped token stays below it.
const BURST: u32 = 20;
/// One attempt comes back in this time: a guesser has 28,800 a day of 2^128.
const REFILL: Duration = Duration::from_secs(3);
/// Addresses remembered. Beyond it the one that failed longest ago is forgotten.
const MAX_ADDRESSES: usize = 4096;

#[derive(Debug, Default)]
pub struct Throttle {
    failed: BTreeMap<IpAddr, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    failures: u32,
    last: Instant,
}

impl Bucket {
    fn at(self, now: Instant) -> u32 {
        let back = now.saturating_duration_since(self.last).as_secs() / REFILL.as_secs();
        self.failures.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX))
    }
}

impl Throttle {
    /// Whether this address may try now.
    pub fn allows(&self, addr: IpAddr, now: Instant) -> bool {
        self.failed.get(&key(addr)).is_none_or(|bucket| bucket.at(now) < BURST)
    }

    pub fn failed(&mut self, addr: IpAddr, now: Instant) {
        let addr = key(addr);
        if self.failed.len() >= MAX_ADDRESSES && !self.failed.contains_key(&addr) {
            self.forget_one(now);
        }
        let failures = self.failed.get(&addr).map_or(0, |bucket| bucket.at(now));
        self.failed.insert(addr, Bucket { failures: failures.saturating_add(1).min(BURST), last: now });
    }

    fn forget_one(&mut self, now: Instant) {
        self.failed.retain(|_, bucket| bucket.at(now) > 0);
        let oldest = self.failed.iter().min_by_key(|(_, bucket)| bucket.last).map(|(addr, _)| *addr);
        if let Some(addr) = oldest.filter(|_| self.failed.len() >= MAX_ADDRESSES) {
            self.failed.remove(&addr);
        }
    }
}

/// An IPv6 host commands its whole /64, so that is what counts as one address.
fn key(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn an_address_that_fails_too_often_waits_and_others_do_not() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        (0..BURST).for_each(|_| throttle.failed(GUESSER, start));
        assert!(!throttle.allows(GUESSER, start));
        assert!(throttle.allows("192.0.2.2".parse().unwrap(), start));
        assert!(throttle.allows(GUESSER, start + REFILL));
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for host in 0..BURST {
            throttle.failed(format!("2001:db8::{host:x}").parse().unwrap(), now);
        }
        assert!(!throttle.allows("2001:db8::ffff".parse().unwrap(), now));
        assert!(throttle.allows("2001:db8:1::1".parse().unwrap(), now));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..(MAX_ADDRESSES as u32 + 100) {
            throttle.failed(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(throttle.failed.len(), MAX_ADDRESSES);
    }
}
