//! An endpoint: one interface of one sandbox on one network.

use crate::{DnsName, EndpointId, MacAddr, NetworkId, NodeId, SandboxId};
use alloc::vec::Vec;
use core::net::IpAddr;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Written once, by the `apply` that allocates it; gone with the `apply` that releases it, after which its
/// addresses rest. Whether the kernel already carries it is its worker's knowledge and is not replicated:
/// that would double the writes of every attach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Chosen by the worker, which gives back what it does not know: a crash leaks nothing, and a retry is the same
    /// request.
    pub id: EndpointId,
    pub network: NetworkId,
    pub node: NodeId,
    pub sandbox: SandboxId,
    /// Unique on its network.
    pub name: DnsName,
    /// Further names; several endpoints may share one.
    #[serde(default)]
    pub aliases: Vec<DnsName>,
    /// Each with the prefix length of its subnet: one IPv4, and one IPv6 where the network has it.
    pub addresses: Vec<IpNet>,
    pub mac: MacAddr,
    pub created_ms: u64,
}

impl Endpoint {
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(IpNet::addr)
    }

    pub fn ipv4(&self) -> Option<IpAddr> {
        self.ips().find(IpAddr::is_ipv4)
    }
}
