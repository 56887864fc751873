//! Places for those who have not finished something yet: the newest always finds one. Pure counting; must not know
//! sockets.
//!
//! Whoever is honest is done within moments, whoever only wants to stand in the way is not: so it is the one who has
//! waited longest that goes, of those from the address that takes up most places.

use super::limits::{Cap, one_host};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) struct Crowd {
    cap: Cap,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    total: usize,
    /// By the order they came in.
    by_address: HashMap<IpAddr, BTreeMap<u64, CancellationToken>>,
}

/// A place inside; given back when dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
    number: u64,
    /// Cancelled when a newer one needs the place.
    pub(super) taken: CancellationToken,
}

impl Crowd {
    pub(super) fn new(cap: Cap) -> Arc<Self> {
        Arc::new(Self { cap, inside: Mutex::default() })
    }

    /// Another's place if none is free.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Place {
        let address = one_host(ip);
        let taken = CancellationToken::new();
        let mut inside = self.inside.lock();
        inside.make_room(address, self.cap);
        let number = inside.next;
        inside.next += 1;
        inside.total += 1;
        inside.by_address.entry(address).or_default().insert(number, taken.clone());
        Place { crowd: self.clone(), address, number, taken }
    }

    pub(super) fn count(&self) -> usize {
        self.inside.lock().total
    }
}

impl Inside {
    fn make_room(&mut self, address: IpAddr, cap: Cap) {
        let here = self.by_address.get(&address).map_or(0, BTreeMap::len);
        let from = match () {
            () if here >= cap.per_address => Some(address),
            () if self.total >= cap.total => self.fullest(),
            () => None,
        };
        let oldest = from.and_then(|from| {
            let (number, _) = self.by_address.get(&from)?.first_key_value()?;
            Some((from, *number))
        });
        if let Some((from, number)) = oldest
            && let Some(taken) = self.remove(from, number)
        {
            taken.cancel();
        }
    }

    /// Of those equally full, the one whose oldest has waited longest.
    fn fullest(&self) -> Option<IpAddr> {
        let rank = |places: &BTreeMap<u64, CancellationToken>| {
            let oldest = places.first_key_value().map_or(u64::MAX, |(number, _)| *number);
            (places.len(), std::cmp::Reverse(oldest))
        };
        self.by_address.iter().max_by_key(|(_, places)| rank(places)).map(|(address, _)| *address)
    }

    fn remove(&mut self, address: IpAddr, number: u64) -> Option<CancellationToken> {
        let places = self.by_address.get_mut(&address)?;
        let taken = places.remove(&number)?;
        // An address without connections takes no memory.
        if places.is_empty() {
            self.by_address.remove(&address);
        }
        self.total = self.total.saturating_sub(1);
        Some(taken)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.inside.lock().remove(self.address, self.number);
    }
}

#[cfg(test)]
#[path = "crowd_tests.rs"]
mod tests;
