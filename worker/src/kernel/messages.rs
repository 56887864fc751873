//! Requests to the kernel about links, addresses, routes and entries. Knows: which attributes say what.
//! Must not know: sockets, or whether a request makes sense now.

use super::uapi::*;
use super::wire::Messages;
use ipnet::IpNet;
use std::net::IpAddr;
use std::os::fd::RawFd;
use swarm_model::MacAddr;
use swarm_overlay::{Bridge, PortLink, PortName, ROUTE_METRIC, ROUTE_PROTOCOL, Route, Vxlan};

/// `ifinfomsg`.
pub fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

const UP: [u8; 16] = {
    let [a, b, c, d] = IFF_UP.to_ne_bytes();
    [0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, a, b, c, d]
};

fn attr_ip(messages: &mut Messages, kind: u16, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => messages.attr(kind, &ip.octets()),
        IpAddr::V6(ip) => messages.attr(kind, &ip.octets()),
    };
}

fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { AF_INET } else { AF_INET6 }
}

pub fn get_link(messages: &mut Messages, name: &str) {
    messages.begin(GET_LINK, 0, &link_header(0, 0, 0)).attr_text(IFLA_IFNAME, name);
}

/// Makes the bridge, up.
pub fn add_bridge(messages: &mut Messages, name: &str, bridge: &Bridge) {
    messages.begin(NEW_LINK, CREATE | EXCLUSIVE, &link_header(0, 0, 0)).attr_text(IFLA_IFNAME, name);
    messages.attr_u32(IFLA_MTU, bridge.mtu).attr(IFLA_ADDRESS, &bridge.mac().0);
    bridge_info(messages);
    no_link_local(messages, name);
    set_up(messages, name);
}

/// `mac` only if it is to change: setting it, to whatever value, costs every neighbour on the bridge.
pub fn set_bridge(messages: &mut Messages, name: &str, mtu: u32, mac: Option<MacAddr>) {
    messages.begin(NEW_LINK, 0, &UP).attr_text(IFLA_IFNAME, name).attr_u32(IFLA_MTU, mtu);
    if let Some(mac) = mac {
        messages.attr(IFLA_ADDRESS, &mac.0);
    }
    bridge_info(messages);
}

fn bridge_info(messages: &mut Messages) {
    let info = messages.open(IFLA_LINKINFO);
    messages.attr(INFO_KIND, b"bridge");
    let data = messages.open(INFO_DATA);
    messages.attr_u32(BR_STP_STATE, 0).attr_u32(BR_FORWARD_DELAY, 0).attr_u8(BR_MCAST_SNOOPING, 0);
    messages.close(data);
    messages.close(info);
}

pub fn set_up(messages: &mut Messages, name: &str) {
    messages.begin(NEW_LINK, 0, &UP).attr_text(IFLA_IFNAME, name);
}

/// Keeps the kernel from giving the interface an address of its own. Fails where IPv6 is off, and is not
/// needed there.
pub fn no_link_local(messages: &mut Messages, name: &str) {
    messages.begin(NEW_LINK, 0, &link_header(0, 0, 0)).attr_text(IFLA_IFNAME, name);
    let spec = messages.open(IFLA_AF_SPEC);
    let inet6 = messages.open(u16::from(AF_INET6));
    messages.attr_u8(INET6_ADDR_GEN_MODE, GEN_MODE_NONE);
    messages.close(inet6);
    messages.close(spec);
}

/// Makes the device in the namespace behind `namespace`, its UDP socket in the namespace of the socket this
/// is sent by.
pub fn add_vxlan(messages: &mut Messages, name: &str, vxlan: &Vxlan, namespace: RawFd) {
    messages.begin(NEW_LINK, CREATE | EXCLUSIVE, &link_header(0, 0, 0));
    messages.attr_text(IFLA_IFNAME, name).attr_u32(IFLA_MTU, vxlan.mtu);
    messages.attr_u32(IFLA_NET_NS_FD, namespace.cast_unsigned());
    let info = messages.open(IFLA_LINKINFO);
    messages.attr(INFO_KIND, b"vxlan");
    let data = messages.open(INFO_DATA);
    messages.attr_u32(VXLAN_ID, vxlan.vni.get()).attr(VXLAN_PORT, &vxlan.port.to_be_bytes());
    let local = if vxlan.local.is_ipv4() { VXLAN_LOCAL } else { VXLAN_LOCAL6 };
    attr_ip(messages, local, vxlan.local);
    messages.attr_u8(VXLAN_LEARNING, 0);
    messages.close(data);
    messages.close(info);
}

/// Puts the device on the bridge: it answers for the bridge's neighbours, and nothing is flooded to it or
/// learned from it.
pub fn set_vxlan(messages: &mut Messages, name: &str, mtu: u32, bridge: u32) {
    no_link_local(messages, name);
    messages.begin(NEW_LINK, 0, &UP).attr_text(IFLA_IFNAME, name);
    messages.attr_u32(IFLA_MTU, mtu).attr_u32(IFLA_MASTER, bridge);
    messages.begin(NEW_LINK, 0, &link_header(0, 0, 0)).attr_text(IFLA_IFNAME, name);
    port_info(messages, |m| {
        m.attr_u8(BRPORT_LEARNING, 0).attr_u8(BRPORT_UNICAST_FLOOD, 0).attr_u8(BRPORT_MCAST_FLOOD, 0);
        m.attr_u8(BRPORT_BCAST_FLOOD, 0).attr_u8(BRPORT_NEIGH_SUPPRESS, 1);
    });
}

fn port_info(messages: &mut Messages, fill: impl FnOnce(&mut Messages)) {
    let info = messages.open(IFLA_LINKINFO);
    messages.attr(INFO_SLAVE_KIND, b"bridge");
    let data = messages.open(INFO_SLAVE_DATA);
    fill(messages);
    messages.close(data);
    messages.close(info);
}

/// Makes a port: the host end here, on the bridge; the other end born in the sandbox with its name and MAC.
pub fn add_port(messages: &mut Messages, port: PortName, link: &PortLink, bridge: u32, sandbox: RawFd) {
    messages.begin(NEW_LINK, CREATE | EXCLUSIVE, &link_header(0, 0, 0));
    messages
        .attr_text(IFLA_IFNAME, port.as_str())
        .attr_u32(IFLA_MTU, link.host_mtu)
        .attr_u32(IFLA_MASTER, bridge);
    let info = messages.open(IFLA_LINKINFO);
    messages.attr(INFO_KIND, b"veth");
    let data = messages.open(INFO_DATA);
    let peer = messages.open(VETH_PEER);
    messages.raw(&link_header(0, 0, 0));
    messages.attr_text(IFLA_IFNAME, &link.inside.ifname).attr(IFLA_ADDRESS, &link.mac.0);
    messages.attr_u32(IFLA_MTU, link.mtu).attr_u32(IFLA_NET_NS_FD, sandbox.cast_unsigned());
    messages.close(peer);
    messages.close(data);
    messages.close(info);
}

/// The host end: mark, MTU, on the bridge, isolated or not, up.
pub fn set_port_host(messages: &mut Messages, port: PortName, link: &PortLink, bridge: u32) {
    let name = port.as_str();
    no_link_local(messages, name);
    messages.begin(NEW_LINK, 0, &UP).attr_text(IFLA_IFNAME, name);
    messages.attr(IFLA_IFALIAS, port.mark().as_bytes()).attr_u32(IFLA_MTU, link.host_mtu);
    messages.attr_u32(IFLA_MASTER, bridge);
    messages.begin(NEW_LINK, 0, &link_header(0, 0, 0)).attr_text(IFLA_IFNAME, name);
    port_info(messages, |m| {
        m.attr_u8(BRPORT_ISOLATED, u8::from(link.isolated));
    });
}

/// The end inside the sandbox, found by its index: name, mark, MTU, up, and the loopback with it. `mac` only
/// if it is to change: setting it, to whatever value, costs every neighbour the sandbox knows.
pub fn set_port_inside(
    messages: &mut Messages,
    port: PortName,
    link: &PortLink,
    (index, mac): (u32, Option<MacAddr>),
) {
    let name = &link.inside.ifname;
    messages.begin(NEW_LINK, 0, &link_header(index, 0, 0)).attr_text(IFLA_IFNAME, name);
    messages.attr(IFLA_IFALIAS, port.mark().as_bytes());
    messages.attr_u32(IFLA_MTU, link.mtu);
    if let Some(mac) = mac {
        messages.attr(IFLA_ADDRESS, &mac.0);
    }
    no_link_local(messages, name);
    set_up(messages, name);
    set_up(messages, "lo");
}

/// Wait before a question for a neighbour is asked again. The kernel's own second is what a lost question
/// costs the first packet.
const ASK_AGAIN_MS: u64 = 100;
/// So that a neighbour is given up after three seconds, as ever.
const QUESTIONS: u32 = 30;

/// How the interface asks for its neighbours. Refused for a family that the interface does not have.
pub fn set_asking(messages: &mut Messages, index: u32) {
    for (family, table) in [(AF_INET, "arp_cache"), (AF_INET6, "ndisc_cache")] {
        messages.begin(SET_NEIGHBOUR_TABLE, 0, &[family, 0, 0, 0]).attr_text(NDTA_NAME, table);
        let parameters = messages.open(NDTA_PARMS);
        messages.attr_u32(NDTPA_IFINDEX, index).attr(NDTPA_RETRANS_TIME, &ASK_AGAIN_MS.to_ne_bytes());
        messages.attr_u32(NDTPA_UCAST_PROBES, QUESTIONS).attr_u32(NDTPA_MCAST_PROBES, QUESTIONS);
        messages.close(parameters);
    }
}

pub fn set_down(messages: &mut Messages, index: u32) {
    messages.begin(NEW_LINK, 0, &link_header(index, 0, IFF_UP));
}

pub fn delete_link(messages: &mut Messages, name: &str) {
    messages.begin(DEL_LINK, 0, &link_header(0, 0, 0)).attr_text(IFLA_IFNAME, name);
}

/// `kind` is NEW_ADDR or DEL_ADDR. Addresses in sandboxes are used at once, without asking whether somebody else has
/// them: the cluster gave them out. Their subnets' routes are ours, so that they are seen to be there.
pub fn address(messages: &mut Messages, kind: u16, index: u32, net: IpNet) {
    flagged_address(messages, kind, (index, net), NO_PREFIX_ROUTE | NO_DAD);
}

/// The kernel makes the route to the gateway's subnet, with the address and without being asked.
pub fn gateway_address(messages: &mut Messages, kind: u16, index: u32, net: IpNet) {
    flagged_address(messages, kind, (index, net), 0);
}

fn flagged_address(messages: &mut Messages, kind: u16, (index, net): (u32, IpNet), new: u32) {
    let (ip, flags) = (net.addr(), if kind == NEW_ADDR { CREATE | REPLACE } else { 0 });
    let link_local = matches!(ip, IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfe80);
    let scope = if link_local { SCOPE_LINK } else { SCOPE_UNIVERSE };
    let mut header = [family(ip), net.prefix_len(), 0, scope, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    messages.begin(kind, flags, &header);
    attr_ip(messages, IFA_LOCAL, ip);
    attr_ip(messages, IFA_ADDRESS, ip);
    if kind != NEW_ADDR {
        return;
    }
    if let IpNet::V4(v4) = net {
        attr_ip(messages, IFA_BROADCAST, v4.broadcast().into());
    }
    messages.attr_u32(IFA_FLAGS, new);
}

/// `kind` is NEW_ROUTE or DEL_ROUTE. A new one never takes another's place: one with the same destination and
/// metric refuses it. What is deleted carries our protocol number, whatever its metric.
pub fn route(messages: &mut Messages, kind: u16, index: u32, route: &Route) {
    let flags = if kind == NEW_ROUTE { CREATE | EXCLUSIVE } else { 0 };
    let scope = if route.via.is_none() && route.to.addr().is_ipv4() { SCOPE_LINK } else { SCOPE_UNIVERSE };
    let (family, length) = (family(route.to.addr()), route.to.prefix_len());
    let header = [family, length, 0, 0, TABLE_MAIN, ROUTE_PROTOCOL, scope, ROUTE_UNICAST, 0, 0, 0, 0];
    messages.begin(kind, flags, &header);
    if length > 0 {
        attr_ip(messages, RTA_DST, route.to.network());
    }
    if let Some(via) = route.via {
        attr_ip(messages, RTA_GATEWAY, via);
    }
    messages.attr_u32(RTA_OIF, index);
    if kind == NEW_ROUTE {
        messages.attr_u32(RTA_PRIORITY, ROUTE_METRIC);
    }
}

/// Which way packets to this address take. `ROUTE_LOCAL` in the answer means that it is taken in here.
pub fn get_route(messages: &mut Messages, to: IpAddr) {
    let length = if to.is_ipv4() { 32 } else { 128 };
    messages.begin(GET_ROUTE, 0, &[family(to), length, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    attr_ip(messages, RTA_DST, to);
}

/// `ndmsg`.
fn neighbour_header(family: u8, index: u32, state: u16, flags: u8) -> [u8; 12] {
    let mut header = [0; 12];
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..10].copy_from_slice(&state.to_ne_bytes());
    header[10] = flags;
    header
}

/// One message for both tables: the VXLAN device's own and the bridge's.
pub fn put_fdb(messages: &mut Messages, vxlan: u32, mac: MacAddr, vtep: IpAddr) {
    let header = neighbour_header(AF_BRIDGE, vxlan, NUD_NOARP | NUD_REACHABLE, NTF_SELF | NTF_MASTER);
    messages.begin(NEW_NEIGH, CREATE | REPLACE, &header).attr(NDA_LLADDR, &mac.0);
    attr_ip(messages, NDA_DST, vtep);
}

/// `flags` names the tables: NTF_SELF, NTF_MASTER or both.
pub fn delete_fdb(messages: &mut Messages, vxlan: u32, mac: MacAddr, flags: u8) {
    messages.begin(DEL_NEIGH, 0, &neighbour_header(AF_BRIDGE, vxlan, 0, flags)).attr(NDA_LLADDR, &mac.0);
}

pub fn put_neighbour(messages: &mut Messages, bridge: u32, ip: IpAddr, mac: MacAddr) {
    let header = neighbour_header(family(ip), bridge, NUD_PERMANENT, 0);
    messages.begin(NEW_NEIGH, CREATE | REPLACE, &header);
    attr_ip(messages, NDA_DST, ip);
    messages.attr(NDA_LLADDR, &mac.0);
}

pub fn delete_neighbour(messages: &mut Messages, bridge: u32, ip: IpAddr) {
    messages.begin(DEL_NEIGH, 0, &neighbour_header(family(ip), bridge, 0, 0));
    attr_ip(messages, NDA_DST, ip);
}

/// Entries of one device, in its own table and in its bridge's.
pub fn dump_fdb(messages: &mut Messages, vxlan: u32) {
    // The kernel filters by device only when it is asked with a link header (`br_port` style), as `bridge
    // fdb` does.
    let mut header = link_header(vxlan, 0, 0);
    header[0] = AF_BRIDGE;
    messages.begin(GET_NEIGH, 0, &header);
}

pub fn dump_neighbours(messages: &mut Messages, family: u8, bridge: u32) {
    messages.begin(GET_NEIGH, 0, &neighbour_header(family, 0, 0, 0)).attr_u32(NDA_IFINDEX, bridge);
}
