//! Addresses of one network: which one comes next, and which ones rest.

use super::{Resting, bounds};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use swarm_model::{Network, Subnet};

/// What is remembered of a network's addresses beyond who holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    /// For each subnet the address given out last; the search goes on behind it (next-fit).
    pub last: Vec<Option<IpAddr>>,
    pub resting: Resting,
}

/// An address found, with its subnet's prefix length and the subnet's place in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub address: IpNet,
    pub subnet: usize,
}

/// No address was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Full {
    /// How many will be free after a rest.
    pub resting: usize,
    /// When the first of them will, on the state's own clock.
    pub first_free_ms: u64,
}

impl Leases {
    pub fn for_network(network: &Network) -> Self {
        Self { last: network.subnets.iter().map(|_| None).collect(), resting: Resting::default() }
    }

    pub fn take(&mut self, ip: IpAddr, now_ms: u64) {
        self.resting.wake(now_ms);
        self.resting.remove(ip);
    }

    pub fn rest(&mut self, ip: IpAddr, now_ms: u64, until_ms: u64) {
        self.resting.wake(now_ms);
        self.resting.insert(ip, until_ms);
    }

    /// The next search in that subnet goes on behind `ip`.
    pub fn move_cursor(&mut self, subnet: usize, ip: IpAddr) {
        if let Some(last) = self.last.get_mut(subnet) {
            *last = Some(ip);
        }
    }
}

/// True for what no endpoint may ever have.
pub fn is_reserved(subnet: &Subnet, ip: IpAddr) -> bool {
    let broadcast = ip.is_ipv4() && ip == subnet.cidr.broadcast();
    // The all-zero host part is the network (IPv4) or the routers' anycast address (RFC 4291 §2.6.1).
    ip == subnet.cidr.network()
        || broadcast
        || ip == subnet.gateway
        || subnet.aux_addresses.values().any(|aux| *aux == ip)
}

/// The next free address of the network's subnets of one family: of the first subnet with room, the first behind
/// the one given out last. `taken`: held by someone, or planned for someone.
pub fn find(
    network: &Network,
    leases: &Leases,
    ipv4: bool,
    (now_ms, taken): (u64, &dyn Fn(IpAddr) -> bool),
) -> Result<Found, Full> {
    let mut full = Full::default();
    for (number, subnet) in network.subnets.iter().enumerate() {
        if subnet.cidr.addr().is_ipv4() != ipv4 {
            continue;
        }
        let free = |ip| !is_reserved(subnet, ip) && !leases.resting.rests(ip, now_ms) && !taken(ip);
        let last = leases.last.get(number).copied().flatten();
        match first_free(subnet, last, &free) {
            Some(ip) => {
                // The prefix length is the subnet's own, so it fits.
                let address = IpNet::new(ip, subnet.cidr.prefix_len()).unwrap_or(subnet.cidr);
                return Ok(Found { address, subnet: number });
            }
            None => full.add(subnet, leases, now_ms),
        }
    }
    Err(full)
}

impl Full {
    fn add(&mut self, subnet: &Subnet, leases: &Leases, now_ms: u64) {
        let range = subnet.ip_range.unwrap_or(subnet.cidr);
        for (ip, until_ms) in leases.resting.between(range.network(), range.broadcast(), now_ms) {
            if !is_reserved(subnet, ip) {
                self.first_free_ms =
                    if self.resting == 0 { until_ms } else { self.first_free_ms.min(until_ms) };
                self.resting += 1;
            }
        }
    }
}

fn first_free(subnet: &Subnet, last: Option<IpAddr>, free: &dyn Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let (first, end) = bounds(&subnet.ip_range.unwrap_or(subnet.cidr));
    let ipv4 = subnet.cidr.addr().is_ipv4();
    let behind =
        last.map(number_of).filter(|last| (first..end).contains(last)).map_or(first, |last| last + 1);
    let candidates = (behind..=end).chain(first..behind);
    candidates.filter_map(|number| address(number, ipv4)).find(|ip| free(*ip))
}

fn number_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

fn address(number: u128, ipv4: bool) -> Option<IpAddr> {
    if ipv4 {
        u32::try_from(number).ok().map(|number| IpAddr::V4(Ipv4Addr::from(number)))
    } else {
        Some(IpAddr::V6(Ipv6Addr::from(number)))
    }
}
