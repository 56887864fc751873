//! How often one address may fail to join: a bucket of attempts per address that refills slowly.
//! Knows: addresses and how long ago. Must not know: tokens, what makes an attempt fail.
//!
//! What is good is taken from every address, also from one that has failed too often: behind one address many hosts may stand,
//! and one that guesses must not keep out the others. So a guesser is refused, and not kept from guessing: what does that is
//! that secrets are 128 random bits. What the bound saves is work, for only what has a chance is looked at with the others.

use crate::seat::Seat;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};
use tonic::{Code, Status};

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

/// Judges what is shown from an address by the records here, and once more when these are as new as any. What is good at
/// once is not held against that address before it is judged; of anything else only so much is looked at.
///
/// # Errors
/// Those of `judge`; too many failed attempts; the newest records cannot be had.
pub async fn judge<T>(
    seat: &Seat,
    (throttle, from): (&Mutex<Throttle>, IpAddr),
    judge: impl Fn() -> Result<T, Status>,
) -> Result<T, Status> {
    let at_first = judge();
    // Counted before anything is waited for: a thousand at a time are no more than one after the other.
    if at_first.is_err() && !throttle.lock().take(from, Instant::now()) {
        return Err(Status::resource_exhausted(format!(
            "too many failed attempts to join from {from}: wait some seconds and try again"
        )));
    }
    let fresh = seat.linearizer.barrier().await;
    let judged = fresh.map_err(Status::from).and_then(|()| judge());
    match (&at_first, &judged) {
        (Ok(_), Err(status)) if is_verdict(status) => throttle.lock().failed(from, Instant::now()),
        (Err(_), Ok(_)) => throttle.lock().give_back(from),
        (Err(_), Err(status)) if !is_verdict(status) => throttle.lock().give_back(from),
        _ => {}
    }
    judged
}

/// On what was shown; not that nobody could be asked.
fn is_verdict(status: &Status) -> bool {
    matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated)
}

impl Throttle {
    /// Whether this address may fail once more now; counted as if it did.
    fn take(&mut self, addr: IpAddr, now: Instant) -> bool {
        let allowed = self.failed.get(&key(addr)).is_none_or(|bucket| bucket.at(now) < BURST);
        if allowed {
            self.failed(addr, now);
        }
        allowed
    }

    /// It did not fail.
    fn give_back(&mut self, addr: IpAddr) {
        if let Some(bucket) = self.failed.get_mut(&key(addr)) {
            bucket.failures = bucket.failures.saturating_sub(1);
        }
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
        let taken = (0..BURST * 20).filter(|_| throttle.take(GUESSER, start)).count();
        assert_eq!(taken, BURST as usize, "however many come at once");
        assert!(throttle.take("192.0.2.2".parse().unwrap(), start));
        assert!(throttle.take(GUESSER, start + REFILL));
        assert!(!throttle.take(GUESSER, start + REFILL));
        throttle.give_back(GUESSER);
        assert!(throttle.take(GUESSER, start + REFILL));
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for host in 0..BURST {
            throttle.failed(format!("2001:db8::{host:x}").parse().unwrap(), now);
        }
        assert!(!throttle.take("2001:db8::ffff".parse().unwrap(), now));
        assert!(throttle.take("2001:db8:1::1".parse().unwrap(), now));
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
