//! Addresses on the gateway bridge. Knows: which subnet is free, which address a sandbox gets. Must not know:
//! the cluster (these addresses are this host's own business and are never replicated).

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::Ipv4Addr;
use ipnet::{IpNet, Ipv4Net};
use swarm_model::{SandboxId, overlaps};

/// Second octets of the candidates 172.18.0.0/16 … 172.31.0.0/16.
const CANDIDATES: core::ops::RangeInclusive<u8> = 18..=31;
const PREFIX: u8 = 16;

/// The gateway's own address with its subnet: the one `held` already, if it is a candidate; else the first
/// candidate that shares no address with `taken` (the host's routes and the cluster's subnets). `None` when
/// all do.
pub fn choose_subnet(held: Option<Ipv4Net>, taken: &[IpNet]) -> Option<Ipv4Net> {
    let candidates =
        || CANDIDATES.filter_map(|second| Ipv4Net::new(Ipv4Addr::new(172, second, 0, 1), PREFIX).ok());
    let free = |net: &Ipv4Net| !taken.iter().any(|other| overlaps(&IpNet::V4(net.trunc()), other));
    candidates().find(|net| Some(*net) == held).or_else(|| candidates().find(free))
}

/// An address for every sandbox, none twice. What a sandbox holds already it keeps; others get the one their
/// id hashes to, or the next free one. `gateway` is the bridge's own address.
pub fn assign<'a>(
    gateway: Ipv4Net,
    sandboxes: impl Iterator<Item = (SandboxId, Option<Ipv4Addr>)> + Clone + 'a,
) -> BTreeMap<SandboxId, Ipv4Addr> {
    let mut given = BTreeMap::new();
    let mut used = BTreeSet::from([gateway.addr()]);
    for (id, held) in sandboxes.clone() {
        if let Some(address) = held.filter(|a| gateway.contains(a) && used.insert(*a)) {
            given.insert(id, address);
        }
    }
    for (id, _) in sandboxes {
        if !given.contains_key(&id)
            && let Some(address) = choose(gateway, id, &used)
        {
            used.insert(address);
            given.insert(id, address);
        }
    }
    given
}

/// The address for one sandbox beside those `used`; `None` when the subnet is full.
pub fn choose(gateway: Ipv4Net, sandbox: SandboxId, used: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    let base = gateway.network().to_bits();
    let hosts = (1u32 << (32 - gateway.prefix_len())).saturating_sub(2);
    let start = sandbox.as_str().bytes().fold(0u32, |h, c| h.wrapping_mul(31).wrapping_add(u32::from(c)));
    (0..hosts)
        .map(|step| Ipv4Addr::from_bits(base + 1 + start.wrapping_add(step) % hosts))
        .find(|address| *address != gateway.addr() && !used.contains(address))
}
