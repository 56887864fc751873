//! What is given out to be unique: subnets, VNIs, addresses. Pure searches over what is taken; writing down what
//! was found is the caller's.

mod addresses;
mod resting;
mod subnets;
mod vnis;

pub use addresses::{Found, Leases, find, is_reserved};
pub use resting::Resting;
pub use subnets::{default_gateway, next_ipv4, next_ipv6};
pub use vnis::next_vni;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Where each cluster-wide search goes on. Next-fit: what was given back last is given out last, so that a worker
/// that lags behind does not meet an old number with a new meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors {
    /// Number of the next block, counted through all default pools in their order.
    pub ipv4_block: u64,
    /// Number of the next /64 of the IPv6 pool.
    pub ipv6_block: u64,
    /// The next VNI, less `Vni::FIRST_ALLOCATED`.
    pub vni: u32,
}

/// First and last address of a subnet as numbers.
fn bounds(net: &IpNet) -> (u128, u128) {
    match net {
        IpNet::V4(net) => (u32::from(net.network()).into(), u32::from(net.broadcast()).into()),
        IpNet::V6(net) => (net.network().into(), net.broadcast().into()),
    }
}
