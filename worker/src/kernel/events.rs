//! What the kernel tells unasked. Knows: which groups to listen to, how a notification reads. Must not know:
//! whether it matters.

use super::place::Place;
use super::read::{self, Link};
use super::uapi::*;
use super::{KernelError, filter, socket, wire};
use ipnet::IpNet;
use netlink_sys::Socket;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use swarm_overlay::esp::GUARD_TABLE;
use swarm_overlay::{
    Allowed, BRIDGE, Event, GATEWAY_BRIDGE, GATEWAY_PORT_PREFIX, NetnsPath, PortName, Route, Scope, TABLE,
    VXLAN,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A socket that hears the changes of one namespace.
pub struct EventSocket {
    socket: Socket,
    source: Source,
}

/// Where something was heard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The place's own namespace.
    Here,
    Sandbox(NetnsPath),
}

/// A notification with interface indices instead of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Link { link: Box<Link>, gone: bool },
    Address { index: u32, address: IpNet, gone: bool },
    Route { index: u32, route: Route, gone: bool },
    Neighbour { entry: read::Neighbour, gone: bool },
    Element { element: Allowed, gone: bool },
    Rules,
    Lost,
}

/// The place's namespace: links, entries, rules. Addresses matter on the gateway bridge only.
const HERE: [u32; 3] = [GROUP_LINK, GROUP_NEIGH, GROUP_IPV4_ADDR];
/// A sandbox: its interface and what is set on it.
const INSIDE: [u32; 5] = [GROUP_LINK, GROUP_IPV4_ADDR, GROUP_IPV6_ADDR, GROUP_IPV4_ROUTE, GROUP_IPV6_ROUTE];
/// The host: what the facts are made of.
const HOST: [u32; 4] = [GROUP_LINK, GROUP_IPV4_ADDR, GROUP_IPV6_ADDR, GROUP_IPV4_ROUTE];

impl EventSocket {
    /// Both sockets of a place, in the calling thread's namespace.
    pub fn here(scope: Scope) -> Result<[Self; 2], KernelError> {
        // The host's own neighbours are many and none of ours.
        let groups = HERE.iter().filter(|g| scope != Scope::Gateway || **g != GROUP_NEIGH).copied();
        let route = Self::open(netlink_sys::protocols::NETLINK_ROUTE, groups, Source::Here)?;
        let filter = Self::open(
            netlink_sys::protocols::NETLINK_NETFILTER,
            [GROUP_NFTABLES].into_iter(),
            Source::Here,
        )?;
        Ok([route, filter])
    }

    pub fn inside(path: NetnsPath) -> Result<Self, KernelError> {
        Self::open(netlink_sys::protocols::NETLINK_ROUTE, INSIDE.into_iter(), Source::Sandbox(path))
    }

    pub fn host() -> Result<Self, KernelError> {
        Self::open(netlink_sys::protocols::NETLINK_ROUTE, HOST.into_iter(), Source::Here)
    }

    fn open(protocol: isize, groups: impl Iterator<Item = u32>, source: Source) -> Result<Self, KernelError> {
        let opened = (|| {
            let mut socket = Socket::new(protocol)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            socket::grow_receive_buffer(&socket);
            for group in groups {
                socket.add_membership(group)?;
            }
            Ok(socket)
        })();
        let socket = opened.map_err(|e| KernelError::io("listen to the kernel's notifications", e))?;
        Ok(Self { socket, source })
    }

    /// Ready for waiting. Must be called within a tokio runtime.
    #[allow(
        deprecated,
        reason = "the successor is unsafe code; here the descriptor is owned and stays open, as it asks"
    )]
    pub fn into_async(self) -> Result<AsyncFd<Self>, KernelError> {
        AsyncFd::with_interest(self, Interest::READABLE)
            .map_err(|e| KernelError::io("listen to the kernel's notifications", e))
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Takes one notification (or the loss of some) off the queue, whatever it says.
    pub fn discard(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Takes one notification off the queue, and says whether it may be about something that is not ours. The
    /// links of our own ports, and the gateway bridge they are on, come and go with every sandbox; what counts
    /// of that bridge is its address.
    pub fn foreign(&self, buffer: &mut [u8]) -> Result<bool, Errno> {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC) {
            // Too long to be read whole: it may be anything.
            Ok(got) => Ok(buffer.get(..got).is_none_or(is_foreign)),
            Err(Errno::ENOBUFS) => Ok(true),
            Err(Errno::EINTR) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Everything that waits, up to a bound. An empty answer means that nothing waits.
    pub fn heard(&self, buffer: &mut [u8]) -> Result<Vec<Heard>, Errno> {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC) {
            Ok(got) if got > buffer.len() => Ok(vec![Heard::Lost]),
            Ok(got) => {
                let bytes = buffer.get(..got).unwrap_or_default();
                Ok(wire::split(bytes).filter_map(|m| understand(m.kind, m.body)).collect())
            }
            Err(Errno::ENOBUFS) => Ok(vec![Heard::Lost]),
            Err(Errno::EINTR) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }
}

impl AsRawFd for EventSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for EventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_foreign(bytes: &[u8]) -> bool {
    let ours = |name: &str| name.starts_with(GATEWAY_PORT_PREFIX) || name == GATEWAY_BRIDGE;
    wire::split(bytes).any(|m| match m.kind {
        NEW_LINK | DEL_LINK => read::link(m.body).is_none_or(|link| !ours(&link.name)),
        _ => true,
    })
}

pub(super) fn understand(kind: u16, body: &[u8]) -> Option<Heard> {
    match kind {
        NEW_LINK | DEL_LINK => {
            // Bridges tell their ports' changes once more in a form of their own.
            let plain = body.first() == Some(&AF_UNSPEC);
            let link = read::link(body).filter(|_| plain)?;
            Some(Heard::Link { link: Box::new(link), gone: kind == DEL_LINK })
        }
        NEW_ADDR | DEL_ADDR => {
            let (index, address) = read::address(body)?;
            Some(Heard::Address { index, address, gone: kind == DEL_ADDR })
        }
        NEW_ROUTE | DEL_ROUTE => {
            let (index, route) = read::route(body)?;
            Some(Heard::Route { index, route, gone: kind == DEL_ROUTE })
        }
        NEW_NEIGH | DEL_NEIGH => {
            Some(Heard::Neighbour { entry: read::neighbour(body)?, gone: kind == DEL_NEIGH })
        }
        _ if kind & 0xff00 == NFT => nftables(kind & 0xff, body),
        _ => None,
    }
}

fn nftables(kind: u16, body: &[u8]) -> Option<Heard> {
    // In every message about a table's parts the first attribute is the table's name.
    let table = wire::attr(body, 4, NFTA_ELEMS_TABLE).map(wire::text);
    let ours = table == Some(TABLE) || table == Some(GUARD_TABLE);
    match kind {
        NFT_NEW_GEN => None,
        _ if !ours => None,
        NFT_NEW_SETELEM | NFT_DEL_SETELEM => {
            let element = filter::read_event_element(body)?;
            Some(Heard::Element { element, gone: kind == NFT_DEL_SETELEM })
        }
        _ => Some(Heard::Rules),
    }
}

impl Place {
    /// What was heard, in terms of this place. `None` when it is about nothing of ours.
    pub fn translate(&self, source: &Source, heard: &Heard) -> Option<Event> {
        match (source, heard) {
            (_, Heard::Lost) => Some(Event::Lost),
            (_, Heard::Rules) => Some(Event::Rules),
            (_, Heard::Element { element, gone }) => Some(Event::Element { element: *element, gone: *gone }),
            (Source::Here, Heard::Link { link, gone }) => self.translate_link(link, *gone),
            (Source::Here, Heard::Neighbour { entry, gone }) => self.translate_neighbour(entry, *gone),
            (Source::Here, Heard::Address { index, address, gone }) => {
                let bridge = self.scope == Scope::Gateway && self.known_bridge() == Some(*index);
                bridge.then_some(Event::BridgeAddress { address: *address, gone: *gone })
            }
            (Source::Here, Heard::Route { .. }) => None,
            (Source::Sandbox(path), heard) => self.translate_inside(path, heard),
        }
    }

    fn translate_link(&self, link: &Link, gone: bool) -> Option<Event> {
        let on_bridge = link.master.is_some() && link.master == self.known_bridge();
        let (mtu, up) = (link.mtu, link.up);
        match (self.scope, link.name.as_str(), gone) {
            (Scope::Gateway, GATEWAY_BRIDGE, true) | (Scope::Overlay(_), BRIDGE, true) => {
                Some(Event::BridgeGone)
            }
            (Scope::Gateway, GATEWAY_BRIDGE, false) | (Scope::Overlay(_), BRIDGE, false) => {
                Some(Event::Bridge { mtu, up })
            }
            (Scope::Overlay(_), VXLAN, true) => Some(Event::VxlanGone),
            (Scope::Overlay(_), VXLAN, false) => Some(Event::Vxlan { mtu, up, on_bridge }),
            (Scope::Gateway, name, _) if !name.starts_with(GATEWAY_PORT_PREFIX) => None,
            (_, name, true) => PortName::from_kernel(name).map(Event::PortGone),
            (_, name, false) if link.kind == "veth" => {
                PortName::from_kernel(name).map(|port| Event::Port { port, mtu, up, on_bridge })
            }
            _ => None,
        }
    }

    fn translate_neighbour(&self, entry: &read::Neighbour, gone: bool) -> Option<Event> {
        let on_vxlan = self.known_vxlan() == Some(entry.index);
        match (entry.family, entry.mac) {
            (AF_BRIDGE, Some(mac)) if entry.in_bridge => {
                let fixed = entry.state & NUD_NOARP != 0 && entry.state & NUD_PERMANENT == 0;
                fixed.then_some(Event::BridgeFdb { mac, remote: on_vxlan, gone })
            }
            (AF_BRIDGE, Some(mac)) if on_vxlan => Some(Event::Fdb { mac, vtep: entry.to, gone }),
            (AF_INET | AF_INET6, mac) if self.known_bridge() == Some(entry.index) => {
                let permanent = entry.state & NUD_PERMANENT != 0;
                Some(Event::Neighbour { ip: entry.to?, mac, permanent, gone })
            }
            _ => None,
        }
    }

    fn translate_inside(&self, path: &NetnsPath, heard: &Heard) -> Option<Event> {
        let port_at = |index: u32| self.inner_port(path, index);
        match heard {
            Heard::Link { link, gone: false } if link.loopback => Some(Event::Loopback { up: link.up }),
            Heard::Link { link, gone: true } => port_at(link.index).map(Event::InsideGone),
            Heard::Link { link, gone: false } => Some(Event::Inside {
                port: port_at(link.index)?,
                ifname: link.name.clone(),
                mac: link.mac,
                mtu: link.mtu,
                up: link.up,
            }),
            Heard::Address { index, address, gone } => {
                Some(Event::Address { port: port_at(*index)?, address: *address, gone: *gone })
            }
            Heard::Route { index, route, gone } => {
                Some(Event::Route { port: port_at(*index)?, route: *route, gone: *gone })
            }
            Heard::Neighbour { .. } | Heard::Element { .. } | Heard::Rules | Heard::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{messages, wire::Messages};

    fn told_of(names: &[&str]) -> bool {
        let mut told = Messages::default();
        names.iter().for_each(|name| messages::delete_link(&mut told, name));
        told.pieces(1, usize::MAX, 0, 0).iter().any(|piece| is_foreign(&piece.bytes))
    }

    #[test]
    fn our_ports_come_and_go_unheeded() {
        let port = PortName::of_gateway(swarm_model::Id::from_random([7; 16]));
        assert!(!told_of(&[port.as_str()]));
        assert!(!told_of(&[port.as_str(), GATEWAY_BRIDGE]));
        assert!(told_of(&["eth0"]));
        assert!(told_of(&[port.as_str(), "eth0"]));
        assert!(told_of(&[""]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(bytes: Vec<u8>) {
            is_foreign(&bytes);
        }
    }
}
