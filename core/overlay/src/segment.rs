//! One bridge and everything on it, as it should be or as it is: the same shape for both, so that they
//! compare. Knows: attributes that matter to us. Must not know: netlink, or which of the two a value is.

use crate::esp::Guard;
use crate::{NetnsPath, PortName, Rules};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::net::IpAddr;
use ipnet::{IpNet, Ipv4Net};
use swarm_model::{MacAddr, Vni, mac_for_ip};

/// One place. Empty (the default) is what a host looks like that never saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// Its namespace exists. Always true for the gateway, whose namespace is the daemon's own.
    pub namespace: bool,
    pub bridge: Option<Bridge>,
    /// Overlays only.
    pub vxlan: Option<Vxlan>,
    /// The nftables tables, whole and in this version.
    pub rules: Option<Rules>,
    pub ports: BTreeMap<PortName, Port>,
    /// Elements of the port check that belong to no port here, or not to its MAC. Never desired.
    pub strays: BTreeSet<Allowed>,
    /// Where frames for endpoints of other hosts go.
    pub fdb: BTreeMap<MacAddr, FdbEntry>,
    /// The table beside the data path, on the gateway's place: it is the daemon's own namespace that VXLAN leaves from.
    pub guard: Option<Arc<Guard>>,
    /// What the bridge answers to ARP and neighbour solicitations for endpoints of other hosts.
    pub neighbours: BTreeMap<IpAddr, MacAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    pub mtu: u32,
    pub up: bool,
    /// The gateway's own address; none on overlays.
    pub address: Option<Ipv4Net>,
    /// No spanning tree, no forward delay, no multicast snooping, its own MAC ([`Bridge::mac`]); on the
    /// gateway also: packets are forwarded.
    pub tuned: bool,
}

impl Bridge {
    /// A bridge left to itself takes the MAC of a port, and with each change the kernel drops all of its
    /// neighbours.
    pub fn mac(&self) -> MacAddr {
        match self.address {
            Some(address) => mac_for_ip(address.addr().into()),
            // No frame is ever sent to or from an overlay's bridge itself.
            None => MacAddr([0x02, 0x44, 0, 0, 0, 1]),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    pub vni: Vni,
    /// Outer UDP destination port.
    pub port: u16,
    /// Outer source address; unspecified when the device has none.
    pub local: IpAddr,
    /// Learns nothing from received packets.
    pub nolearning: bool,
    pub mtu: u32,
    pub up: bool,
    /// On the bridge, answering for its neighbours, neither learning nor flooded to.
    pub guarded: bool,
}

impl Vxlan {
    /// True when the one can be made from the other without making the device anew.
    pub fn same_device(&self, other: &Self) -> bool {
        let identity = |v: &Self| (v.vni, v.port, v.local, v.nolearning);
        identity(self) == identity(other)
    }
}

/// One sandbox's interface and its host end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub link: PortLink,
    /// On the interface inside the sandbox.
    pub addresses: BTreeSet<IpNet>,
    /// Through the interface inside the sandbox; only those that carry our protocol number. One to the subnet of each
    /// address is among them: the kernel is asked to make none.
    pub routes: BTreeSet<Route>,
    /// Source addresses the port check lets pass together with the port's MAC.
    pub allowed: BTreeSet<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortLink {
    pub inside: Inside,
    pub mac: MacAddr,
    /// Of the end inside the sandbox.
    pub mtu: u32,
    pub host_mtu: u32,
    /// The host end is up, on its bridge, and isolated from other ports exactly if `isolated`.
    pub plugged: bool,
    /// The end inside the sandbox is up, and so is its loopback.
    pub up: bool,
    /// May talk to the bridge itself, not to other isolated ports.
    pub isolated: bool,
}

/// Where the inner end of a port is, and under which name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inside {
    /// Empty when it is not known: the inner end was not found where it should be.
    pub sandbox: NetnsPath,
    pub ifname: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// `None` for a route on the link. First, because those come first in the kernel too: the others lead over them.
    pub via: Option<IpAddr>,
    pub to: IpNet,
}

/// One MAC in the two tables one message writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbEntry {
    /// In the VXLAN device's table (`self`).
    pub vtep: Option<IpAddr>,
    /// In the bridge's table (`master`), pointing at the VXLAN device, static.
    pub bridged: bool,
}

/// One element of the port check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    pub port: PortName,
    pub mac: MacAddr,
    pub ip: IpAddr,
}

impl Segment {
    /// Every element of the port check.
    pub fn allowed(&self) -> impl Iterator<Item = Allowed> + '_ {
        let ports = self.ports.iter().flat_map(|(name, port)| {
            port.allowed.iter().map(|ip| Allowed { port: *name, mac: port.link.mac, ip: *ip })
        });
        ports.chain(self.strays.iter().copied())
    }
}
