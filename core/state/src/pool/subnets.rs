//! Subnets cut from the default pools, clear of every subnet in use and of the routes a host wants kept clear.

use super::bounds;
use crate::Refusal;
use crate::indices::Indices;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use swarm_model::{ClusterSettings, overlaps};

/// Length of a subnet of the IPv6 pool (RFC 4291 §2.5.1).
const IPV6_SUBNET: u8 = 64;

/// A pool as a row of blocks of one length.
struct Blocks {
    pool: IpNet,
    prefix: u8,
}

impl Blocks {
    fn bits(&self) -> u32 {
        u32::from(self.pool.max_prefix_len() - self.prefix)
    }

    fn count(&self) -> u64 {
        1u64 << u32::from(self.prefix.saturating_sub(self.pool.prefix_len())).min(63)
    }

    fn block(&self, number: u64) -> Option<IpNet> {
        let first = bounds(&self.pool).0 + (u128::from(number) << self.bits());
        match self.pool {
            IpNet::V4(_) => {
                Ipv4Net::new(Ipv4Addr::from(u32::try_from(first).ok()?), self.prefix).ok().map(IpNet::V4)
            }
            IpNet::V6(_) => Ipv6Net::new(Ipv6Addr::from(first), self.prefix).ok().map(IpNet::V6),
        }
    }

    /// The number of the first block behind `net`, which overlaps block `number`.
    fn behind(&self, net: &IpNet, number: u64) -> u64 {
        let last = bounds(net).1.saturating_sub(bounds(&self.pool).0);
        u64::try_from(last >> self.bits()).unwrap_or(u64::MAX).saturating_add(1).max(number + 1)
    }

    /// The first free block in `[from, to)`. Each step passes a whole obstacle, so there are no more steps than
    /// obstacles.
    fn first_free(&self, from: u64, to: u64, obstacles: &mut Obstacles<'_>) -> Option<(u64, IpNet)> {
        let mut number = from;
        while number < to {
            let block = self.block(number)?;
            match obstacles.hit(&block) {
                None => return Some((number, block)),
                Some(obstacle) => number = self.behind(&obstacle, number),
            }
        }
        None
    }
}

/// What a new subnet must keep clear of.
struct Obstacles<'a> {
    indices: &'a Indices,
    also: &'a [IpNet],
    avoid: &'a [IpNet],
    met_route: bool,
}

impl Obstacles<'_> {
    fn hit(&mut self, block: &IpNet) -> Option<IpNet> {
        let used = self.indices.overlapping(block).map(|(net, _)| net);
        let used = used.or_else(|| self.also.iter().find(|net| overlaps(net, block)).copied());
        used.or_else(|| {
            // A default route says nothing about what is in use.
            let route = self.avoid.iter().find(|net| net.prefix_len() > 0 && overlaps(net, block)).copied();
            self.met_route |= route.is_some();
            route
        })
    }
}

/// The next free subnet of the default pools from block `cursor` on, and the cursor behind it. `also`: subnets
/// chosen for the same network already.
pub fn next_ipv4(
    settings: &ClusterSettings,
    cursor: u64,
    indices: &Indices,
    (also, avoid): (&[IpNet], &[IpNet]),
) -> Result<(IpNet, u64), Refusal> {
    let prefix = settings.subnet_prefix;
    let pools: Vec<Blocks> =
        settings.default_addr_pools.iter().map(|pool| Blocks { pool: IpNet::V4(*pool), prefix }).collect();
    let mut obstacles = Obstacles { indices, also, avoid, met_route: false };
    search(&pools, cursor, &mut obstacles).ok_or_else(|| {
        let pools = settings.default_addr_pools.iter().copied().map(IpNet::V4).collect();
        if obstacles.met_route {
            Refusal::SubnetsAllRouted { prefix, pools }
        } else {
            Refusal::SubnetsExhausted { prefix, pools }
        }
    })
}

/// The next free /64 of the IPv6 pool.
pub fn next_ipv6(
    settings: &ClusterSettings,
    cursor: u64,
    indices: &Indices,
    (also, avoid): (&[IpNet], &[IpNet]),
) -> Result<(IpNet, u64), Refusal> {
    let pool = IpNet::V6(settings.ipv6_pool.trunc());
    let prefix = IPV6_SUBNET.max(pool.prefix_len());
    let mut obstacles = Obstacles { indices, also, avoid, met_route: false };
    search(&[Blocks { pool, prefix }], cursor, &mut obstacles)
        .ok_or_else(|| Refusal::SubnetsExhausted { prefix, pools: [pool].into() })
}

/// From the cursor to the end, then from the start to the cursor, through all pools in their order.
fn search(pools: &[Blocks], cursor: u64, obstacles: &mut Obstacles<'_>) -> Option<(IpNet, u64)> {
    let total: u64 = pools.iter().map(Blocks::count).sum();
    let cursor = if cursor < total { cursor } else { 0 };
    for (from, to) in [(cursor, total), (0, cursor)] {
        let mut start = 0;
        for blocks in pools {
            let (first, end) = (from.max(start), to.min(start + blocks.count()));
            if first < end
                && let Some((number, block)) = blocks.first_free(first - start, end - start, obstacles)
            {
                return Some((block, start + number + 1));
            }
            start += blocks.count();
        }
    }
    None
}

/// The first host address that is not an auxiliary one.
pub fn default_gateway(subnet: &IpNet, aux: &BTreeMap<String, IpAddr>) -> Option<IpAddr> {
    let (first, last) = bounds(subnet);
    // As many addresses as can be taken, and one more.
    (first + 1..last).take(aux.len() + 1).find_map(|number| {
        let ip = match subnet {
            IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).ok()?)),
            IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        };
        aux.values().all(|taken| *taken != ip).then_some(ip)
    })
}
