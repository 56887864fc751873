//! Whether what the kernel just told departs from what is desired. Knows: what a notification may say. Must
//! not know: how it came. Our own steps are told back to us too; those confirm, and a confirmation costs
//! nothing.

use crate::{Allowed, FdbEntry, PortName, Route, Segment};
use alloc::string::String;
use core::net::IpAddr;
use ipnet::IpNet;
use swarm_model::MacAddr;

/// Something as it is now, or that it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    BridgeGone,
    Bridge {
        mtu: u32,
        up: bool,
    },
    VxlanGone,
    Vxlan {
        mtu: u32,
        up: bool,
        on_bridge: bool,
    },
    PortGone(PortName),
    Port {
        port: PortName,
        mtu: u32,
        up: bool,
        on_bridge: bool,
    },
    InsideGone(PortName),
    Inside {
        port: PortName,
        ifname: String,
        mac: Option<MacAddr>,
        mtu: u32,
        up: bool,
    },
    Loopback {
        up: bool,
    },
    /// Of the gateway bridge.
    BridgeAddress {
        address: IpNet,
        gone: bool,
    },
    Address {
        port: PortName,
        address: IpNet,
        gone: bool,
    },
    Route {
        port: PortName,
        route: Route,
        gone: bool,
    },
    /// In the VXLAN device's table.
    Fdb {
        mac: MacAddr,
        vtep: Option<IpAddr>,
        gone: bool,
    },
    /// In the bridge's table, towards the VXLAN device or (not `remote`) a port. Only static entries are
    /// told.
    BridgeFdb {
        mac: MacAddr,
        remote: bool,
        gone: bool,
    },
    Neighbour {
        ip: IpAddr,
        mac: Option<MacAddr>,
        permanent: bool,
        gone: bool,
    },
    Element {
        element: Allowed,
        gone: bool,
    },
    /// A rule, chain, set or table of ours changed.
    Rules,
    /// Notifications were lost: anything may have happened.
    Lost,
}

/// True when the place has to be looked at.
pub fn contradicts(event: &Event, want: &Segment) -> bool {
    match event {
        Event::Lost | Event::Rules => true,
        Event::BridgeGone => want.bridge.is_some(),
        Event::Bridge { mtu, up } => want.bridge.as_ref().is_some_and(|b| (b.mtu, b.up) != (*mtu, *up)),
        Event::VxlanGone => want.vxlan.is_some(),
        Event::Vxlan { mtu, up, on_bridge } => {
            want.vxlan.as_ref().is_some_and(|v| (v.mtu, v.up, v.guarded) != (*mtu, *up, *on_bridge))
        }
        Event::Fdb { .. } | Event::BridgeFdb { .. } | Event::Neighbour { .. } => {
            contradicts_entry(event, want)
        }
        Event::Element { element, gone } => want.allowed().any(|a| a == *element) == *gone,
        Event::BridgeAddress { address, gone } => {
            let wanted = want.bridge.as_ref().and_then(|b| b.address).map(IpNet::V4);
            (wanted == Some(*address)) == *gone
        }
        _ => contradicts_port(event, want),
    }
}

fn contradicts_entry(event: &Event, want: &Segment) -> bool {
    match event {
        Event::Fdb { mac, gone: true, .. } => want.fdb.contains_key(mac),
        Event::Fdb { mac, vtep, gone: false } => want.fdb.get(mac).is_none_or(|entry| entry.vtep != *vtep),
        // An entry that moves to a port is told as new there; the one it replaces is not told as gone.
        Event::BridgeFdb { mac, remote, gone } => {
            let wanted = want.fdb.get(mac).is_some_and(|entry: &FdbEntry| entry.bridged);
            wanted != (*remote && !*gone)
        }
        Event::Neighbour { ip, gone: true, .. } => want.neighbours.contains_key(ip),
        Event::Neighbour { ip, mac, permanent, gone: false } => match want.neighbours.get(ip) {
            Some(wanted) => !*permanent || *mac != Some(*wanted),
            None => *permanent,
        },
        _ => false,
    }
}

fn contradicts_port(event: &Event, want: &Segment) -> bool {
    let port_of = |port: &PortName| want.ports.get(port);
    match event {
        Event::PortGone(port) | Event::InsideGone(port) => port_of(port).is_some(),
        Event::Port { port, mtu, up, on_bridge } => {
            port_of(port).is_none_or(|p| p.link.host_mtu != *mtu || !up || !on_bridge)
        }
        Event::Inside { port, ifname, mac, mtu, up } => port_of(port).is_some_and(|p| {
            let link = &p.link;
            *link.inside.ifname != **ifname || mac.is_some_and(|m| m != link.mac) || link.mtu != *mtu || !up
        }),
        Event::Loopback { up } => !up && !want.ports.is_empty(),
        Event::Address { port, address, gone } => {
            port_of(port).is_some_and(|p| p.addresses.contains(address) == *gone)
        }
        Event::Route { port, route, gone } => {
            port_of(port).is_some_and(|p| p.routes.contains(route) == *gone)
        }
        _ => false,
    }
}
