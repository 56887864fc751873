//! Released addresses that are not yet given out again unasked.
//!
//! A host that lags behind may still send to an address's last holder; a rest keeps the new holder from getting
//! that traffic. Someone who asks for the address by name wants exactly it, and knows.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<(IpAddr, u64)>", from = "Vec<(IpAddr, u64)>")]
pub struct Resting {
    /// Until when, on the state's own clock.
    until: BTreeMap<IpAddr, u64>,
    order: BTreeSet<(u64, IpAddr)>,
}

impl Resting {
    pub fn insert(&mut self, ip: IpAddr, until_ms: u64) {
        self.remove(ip);
        self.until.insert(ip, until_ms);
        self.order.insert((until_ms, ip));
    }

    pub fn remove(&mut self, ip: IpAddr) {
        if let Some(until_ms) = self.until.remove(&ip) {
            self.order.remove(&(until_ms, ip));
        }
    }

    /// Forgets what has rested enough.
    pub fn wake(&mut self, now_ms: u64) {
        while let Some((until_ms, ip)) =
            self.order.first().copied().filter(|(until_ms, _)| *until_ms <= now_ms)
        {
            self.order.remove(&(until_ms, ip));
            self.until.remove(&ip);
        }
    }

    pub fn rests(&self, ip: IpAddr, now_ms: u64) -> bool {
        self.until.get(&ip).is_some_and(|until_ms| *until_ms > now_ms)
    }

    /// Those between two addresses, with their ends.
    pub fn between(
        &self,
        first: IpAddr,
        last: IpAddr,
        now_ms: u64,
    ) -> impl Iterator<Item = (IpAddr, u64)> + '_ {
        let all = self.until.range(first..=last).map(|(ip, until_ms)| (*ip, *until_ms));
        all.filter(move |(_, until_ms)| *until_ms > now_ms)
    }

    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.until.keys().copied()
    }

    pub fn is_consistent(&self) -> bool {
        self.until.iter().all(|(ip, until_ms)| self.order.contains(&(*until_ms, *ip)))
            && self.until.len() == self.order.len()
    }
}

impl From<Resting> for Vec<(IpAddr, u64)> {
    fn from(resting: Resting) -> Self {
        resting.until.into_iter().collect()
    }
}

impl From<Vec<(IpAddr, u64)>> for Resting {
    fn from(rows: Vec<(IpAddr, u64)>) -> Self {
        let order = rows.iter().map(|(ip, until_ms)| (*until_ms, *ip)).collect();
        Self { until: rows.into_iter().collect(), order }
    }
}
