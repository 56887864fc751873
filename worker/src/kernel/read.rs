//! What dumps and events say, as values. Knows: where in a message a thing stands. Must not know: what should
//! be there.

use super::uapi::*;
use super::wire::{attr, attrs, text, u16_at, u32_at};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use swarm_model::{MacAddr, Vni};
use swarm_overlay::{ROUTE_PROTOCOL, Route};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub alias: String,
    pub kind: String,
    pub mac: Option<MacAddr>,
    pub mtu: u32,
    pub up: bool,
    /// This tells that it went down just now; it may be up again since.
    pub fell: bool,
    pub loopback: bool,
    /// Packets really go out: the carrier is on and the kernel has acted on it.
    pub operational: bool,
    pub master: Option<u32>,
    /// Index of the other end of a veth, in its own namespace.
    pub peer: Option<u32>,
    pub vxlan: Option<VxlanInfo>,
    pub bridge: Option<BridgeInfo>,
    pub port: Option<BridgePortInfo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VxlanInfo {
    pub vni: Vni,
    pub port: u16,
    pub local: IpAddr,
    pub learning: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgeInfo {
    pub stp: bool,
    pub forward_delay: u32,
    pub snooping: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgePortInfo {
    /// Learning, or any kind of flooding, is on.
    pub open: bool,
    pub neigh_suppress: bool,
    pub isolated: bool,
}

/// `IFF_LOOPBACK`.
const IFF_LOOPBACK: u32 = 8;

/// Reads the body of a link message.
pub fn link(body: &[u8]) -> Option<Link> {
    let (index, flags) = (u32_at(body, 4)?, u32_at(body, 8)?);
    let (up, loopback) = (flags & IFF_UP != 0, flags & IFF_LOOPBACK != 0);
    // A dump names no flag as changed, word of a new link names them all.
    let changed = u32_at(body, 12)?;
    let fell = !up && changed & IFF_UP != 0 && changed != u32::MAX;
    let mut link = Link { index, up, fell, loopback, ..Link::default() };
    for (kind, value) in attrs(body, 16) {
        match kind {
            IFLA_IFNAME => link.name = text(value).to_owned(),
            IFLA_IFALIAS => link.alias = text(value).to_owned(),
            IFLA_ADDRESS => link.mac = value.try_into().ok().map(MacAddr),
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_OPERSTATE => link.operational = value.first().is_some_and(|v| OPERATIONAL.contains(v)),
            IFLA_MASTER => link.master = u32_at(value, 0),
            IFLA_LINK => link.peer = u32_at(value, 0),
            IFLA_LINKINFO => link_info(&mut link, value),
            _ => {}
        }
    }
    Some(link)
}

fn link_info(link: &mut Link, info: &[u8]) {
    link.kind = attr(info, 0, INFO_KIND).map(text).unwrap_or_default().to_owned();
    let data = attr(info, 0, INFO_DATA).unwrap_or_default();
    match link.kind.as_str() {
        "vxlan" => link.vxlan = vxlan_info(data),
        "bridge" => link.bridge = Some(bridge_info(data)),
        _ => {}
    }
    if attr(info, 0, INFO_SLAVE_KIND).map(text) == Some("bridge") {
        link.port = attr(info, 0, INFO_SLAVE_DATA).map(port_info);
    }
}

fn vxlan_info(data: &[u8]) -> Option<VxlanInfo> {
    let local = attr(data, 0, VXLAN_LOCAL).or_else(|| attr(data, 0, VXLAN_LOCAL6)).and_then(ip);
    Some(VxlanInfo {
        vni: attr(data, 0, VXLAN_ID).and_then(|v| u32_at(v, 0)).and_then(Vni::new)?,
        port: attr(data, 0, VXLAN_PORT).and_then(|v| u16_at(v, 0)).map(u16::from_be)?,
        local: local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        learning: is_set(data, VXLAN_LEARNING),
    })
}

fn bridge_info(data: &[u8]) -> BridgeInfo {
    let number = |kind| attr(data, 0, kind).and_then(|v| u32_at(v, 0)).unwrap_or_default();
    BridgeInfo {
        stp: number(BR_STP_STATE) != 0,
        forward_delay: number(BR_FORWARD_DELAY),
        snooping: is_set(data, BR_MCAST_SNOOPING),
    }
}

fn port_info(data: &[u8]) -> BridgePortInfo {
    let openings = [BRPORT_LEARNING, BRPORT_UNICAST_FLOOD, BRPORT_MCAST_FLOOD, BRPORT_BCAST_FLOOD];
    BridgePortInfo {
        open: openings.into_iter().any(|kind| is_set(data, kind)),
        neigh_suppress: is_set(data, BRPORT_NEIGH_SUPPRESS),
        isolated: is_set(data, BRPORT_ISOLATED),
    }
}

fn is_set(data: &[u8], kind: u16) -> bool {
    attr(data, 0, kind).and_then(|v| v.first()).is_some_and(|v| *v != 0)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// An address and the index of its interface.
pub fn address(body: &[u8]) -> Option<(u32, IpNet)> {
    let (length, index) = (*body.get(1)?, u32_at(body, 4)?);
    let address = attr(body, 8, IFA_LOCAL).or_else(|| attr(body, 8, IFA_ADDRESS)).and_then(ip)?;
    Some((index, IpNet::new(address, length).ok()?))
}

/// A route of the main table that carries our protocol number, and the index of its interface.
pub fn route(body: &[u8]) -> Option<(u32, Route)> {
    let ours =
        *body.get(5)? == ROUTE_PROTOCOL && *body.get(4)? == TABLE_MAIN && *body.get(7)? == ROUTE_UNICAST;
    any_route(body).filter(|_| ours)
}

/// Any route with one way out.
pub fn any_route(body: &[u8]) -> Option<(u32, Route)> {
    let (family, length) = (*body.first()?, *body.get(1)?);
    let everywhere = if family == AF_INET { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let to = attr(body, 12, RTA_DST).and_then(ip).unwrap_or(everywhere);
    let index = attr(body, 12, RTA_OIF).and_then(|v| u32_at(v, 0))?;
    let via = attr(body, 12, RTA_GATEWAY).and_then(ip);
    Some((index, Route { to: IpNet::new(to, length).ok()?, via }))
}

/// One entry of a neighbour or forwarding table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    pub family: u8,
    pub index: u32,
    pub state: u16,
    pub flags: u8,
    pub to: Option<IpAddr>,
    pub mac: Option<MacAddr>,
    /// In a bridge's table, not in the device's own.
    pub in_bridge: bool,
}

pub fn neighbour(body: &[u8]) -> Option<Neighbour> {
    Some(Neighbour {
        family: *body.first()?,
        index: u32_at(body, 4)?,
        state: u16_at(body, 8)?,
        flags: *body.get(10)?,
        to: attr(body, 12, NDA_DST).and_then(ip),
        mac: attr(body, 12, NDA_LLADDR).and_then(|v| v.try_into().ok()).map(MacAddr),
        in_bridge: attr(body, 12, NDA_MASTER).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body: Vec<u8>) {
            drop((link(&body), address(&body), route(&body), neighbour(&body)));
        }
    }
}
