//! How many connections are allowed, in all and from one address. Pure counting; must not know sockets.

use super::meter::Pace;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Most of something in all, and from one address (for IPv6: one /64, which is what one host can fill).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    pub total: usize,
    pub per_address: usize,
}

/// A connection above a cap is closed at once and those there stay, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes not finished yet. Above this cap the newest takes the place of the one that has waited longest.
    pub handshakes: Cap,
    /// Connections of callers without a certificate.
    pub strangers: Cap,
    /// Connections of members. Many nodes may stand behind one address.
    pub members: Cap,
    /// Connections of one member: whoever stole its key must not fill the places of the others.
    pub per_node: usize,
    /// Most time a handshake may take, from its end to the first words of HTTP/2, and for the request of a caller without
    /// a certificate to be complete.
    pub handshake_deadline: Duration,
    /// Most time a caller without a certificate may stay: asking to be admitted takes a moment.
    pub stranger_lifetime: Duration,
    /// What a caller without a certificate may send over one connection.
    pub stranger_pace: Pace,
}

impl Default for Limits {
    /// For the documented 10,000 nodes; 64 hosts behind one address may start at the same moment.
    fn default() -> Self {
        Self {
            handshakes: Cap { total: 512, per_address: 64 },
            strangers: Cap { total: 512, per_address: 64 },
            members: Cap { total: 32_768, per_address: 4_096 },
            per_node: 64,
            handshake_deadline: Duration::from_secs(5),
            stranger_lifetime: Duration::from_secs(60),
            stranger_pace: Pace { at_once: 64 * 1_024, per_second: 4 * 1_024 },
        }
    }
}

/// Counts who is inside and lets nobody above the cap in.
pub(super) struct Gate {
    cap: Cap,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place inside; given back when dropped.
pub(super) struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    pub(super) fn new(cap: Cap) -> Arc<Self> {
        Arc::new(Self { cap, inside: Mutex::default() })
    }

    /// `None` when a cap is reached.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Pass> {
        let address = one_host(ip);
        let mut inside = self.inside.lock();
        if inside.total >= self.cap.total {
            return None;
        }
        let here = inside.by_address.get(&address).copied().unwrap_or(0);
        if here >= self.cap.per_address {
            return None;
        }
        inside.by_address.insert(address, here + 1);
        inside.total += 1;
        Some(Pass { gate: self.clone(), address })
    }

    pub(super) fn count(&self) -> usize {
        self.inside.lock().total
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock();
        inside.total = inside.total.saturating_sub(1);
        // An address without connections takes no memory.
        match inside.by_address.get_mut(&self.address) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(inside.by_address.remove(&self.address)),
        }
    }
}

pub(super) fn one_host(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
