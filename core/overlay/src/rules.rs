//! The nftables tables of one place, as text for `nft -f`. Knows: who may send what. Must not know: how to
//! load them.
//!
//! Overlay: a port sends from its own MAC and addresses only, in IP, ARP and neighbour discovery; every other
//! EtherType (VLAN tags too) is dropped, and so are router advertisements and redirects: no endpoint is a
//! router. Gateway: the same check on its ports, no way from port to port, masquerade towards everywhere
//! else. Masquerade makes the host track every connection; its own VXLAN packets are taken out of that.

use crate::names::{GATEWAY_BRIDGE, GATEWAY_PORT_PREFIX, TABLE, VXLAN};
use crate::{Allowed, Scope};
use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};
use core::net::IpAddr;
use ipnet::Ipv4Net;

/// Stands in the comment of every rule, so that a rule lost, changed or of another version is seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RulesDigest(pub u32);

impl fmt::Debug for RulesDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// What the gateway's tables are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WayOut {
    /// The gateway bridge's address and subnet.
    pub uplink: Ipv4Net,
    /// Outer address of this host's VXLAN packets.
    pub vtep: IpAddr,
    /// Their outer UDP destination port.
    pub data_path_port: u16,
}

/// The tables of one place: what they are made from, and which version of them it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Of the gateway; `None` on overlays, and of tables that are not as any of ours.
    pub way_out: Option<WayOut>,
    pub digest: RulesDigest,
}

impl Rules {
    pub fn of(scope: Scope, way_out: Option<WayOut>) -> Self {
        Self { way_out, digest: expected(scope, way_out).digest }
    }

    /// Tables that are there and not as they should be.
    pub fn wrong() -> Self {
        Self { way_out: None, digest: RulesDigest(0) }
    }
}

/// Names of the sets the port check looks into, and of its family's table.
pub const SET_V4: &str = "v4";
/// See [`SET_V4`].
pub const SET_V6: &str = "v6";

const SOURCE: [&str; 7] = [
    "ether type ip iifname . ether saddr . ip saddr @v4 accept",
    "ether type arp iifname . ether saddr . arp saddr ip != @v4 drop",
    "ether type arp iifname . arp saddr ether . arp saddr ip @v4 accept",
    "icmpv6 type { nd-router-advert, nd-redirect } drop",
    // The target of an advertisement (RFC 4861 §4.4), raw because older nft has no name for it.
    "icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 != @v6 drop",
    "ether type ip6 iifname . ether saddr . @nh,64,128 @v6 accept",
    "drop",
];

/// The rules of the chain `source`, in order.
fn source_rules(scope: Scope) -> impl Iterator<Item = String> {
    let others = match scope {
        Scope::Gateway => format!("iifname != \"{GATEWAY_PORT_PREFIX}*\" accept"),
        Scope::Overlay(_) => format!("iifname \"{VXLAN}\" accept"),
    };
    core::iter::once(others).chain(SOURCE.into_iter().map(String::from))
}

/// The chains of the gateway's `inet` table with the hooks they are on, in order.
const CHAINS: [(&str, &str); 4] = [
    ("forward", "type filter hook forward priority -10"),
    ("nat", "type nat hook postrouting priority 100"),
    // Before connections are looked up (-200).
    ("arriving", "type filter hook prerouting priority -300"),
    ("leaving", "type filter hook output priority -300"),
];

fn gateway_rules(way_out: WayOut) -> [(&'static str, String); 7] {
    let (subnet, bridge, port, vtep) =
        (way_out.uplink.trunc(), GATEWAY_BRIDGE, way_out.data_path_port, way_out.vtep);
    let family = if vtep.is_ipv4() { "ip" } else { "ip6" };
    [
        ("forward", format!("iifname \"{bridge}\" oifname \"{bridge}\" drop")),
        ("forward", format!("iifname \"{bridge}\" ip saddr != {subnet} drop")),
        ("forward", format!("iifname \"{bridge}\" accept")),
        // Nobody outside opens a connection into a sandbox through the gateway.
        ("forward", format!("oifname \"{bridge}\" ct state != {{ established, related }} drop")),
        ("nat", format!("ip saddr {subnet} oifname != \"{bridge}\" masquerade")),
        // Only what is ours: a sandbox may itself speak VXLAN to the outside, and that is masqueraded.
        ("arriving", format!("udp dport {port} {family} daddr {vtep} notrack")),
        ("leaving", format!("udp dport {port} {family} saddr {vtep} notrack")),
    ]
}

/// How many rules each chain has, with the digest of all: what an intact table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    pub digest: RulesDigest,
    pub rules: usize,
}

/// What an intact set of tables looks like in the kernel.
pub fn expected(scope: Scope, way_out: Option<WayOut>) -> Expected {
    let mut digest = Fnv::new();
    let mut rules = 0;
    let mut count = |rule: &str| {
        digest.add(rule.as_bytes());
        rules += 1;
    };
    source_rules(scope).for_each(|rule| count(&rule));
    way_out.map(gateway_rules).into_iter().flatten().for_each(|(_, rule)| count(&rule));
    Expected { digest: RulesDigest(digest.0), rules }
}

/// The comment rule `number` (counted from 0 over the whole text) carries.
pub fn comment(digest: RulesDigest, number: usize) -> String {
    format!("swarmd {digest:?} {number}")
}

/// The whole text: removes what is there and loads the tables with `allowed` in one transaction, so that no
/// frame passes between the old check and the new one and none of an allowed port is lost.
pub fn text(scope: Scope, way_out: Option<WayOut>, allowed: &[Allowed]) -> String {
    let digest = expected(scope, way_out).digest;
    let mut out = removal(scope);
    let mut number = 0;
    let mut next = |rule: String| {
        number += 1;
        format!("    {rule} comment \"{}\"\n", comment(digest, number - 1))
    };
    let source: String = source_rules(scope).map(&mut next).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "table bridge {TABLE} {{\n  set {SET_V4} {{\n    type ifname . ether_addr . ipv4_addr\n{}  }}\n  \
         set {SET_V6} {{\n    typeof iifname . ether saddr . @nh,64,128\n{}  }}\n  chain source {{\n    \
         type filter hook prerouting priority -300; policy accept;\n{source}  }}\n}}\n",
        elements(allowed, IpAddr::is_ipv4),
        elements(allowed, IpAddr::is_ipv6),
    );
    if let Some(way_out) = way_out {
        let rules = gateway_rules(way_out).map(|(chain, rule)| (chain, next(rule)));
        let _ = writeln!(out, "table inet {TABLE} {{");
        for (chain, hook) in CHAINS {
            let _ = writeln!(out, "  chain {chain} {{\n    {hook}; policy accept;");
            rules.iter().filter(|(of, _)| *of == chain).for_each(|(_, rule)| out.push_str(rule));
            out.push_str("  }\n");
        }
        out.push_str("}\n");
    }
    out
}

/// Text that removes our tables, whether they are there or not.
pub fn removal(scope: Scope) -> String {
    let families: &[&str] = match scope {
        Scope::Gateway => &["bridge", "inet"],
        Scope::Overlay(_) => &["bridge"],
    };
    families.iter().map(|f| format!("table {f} {TABLE} {{}}\ndelete table {f} {TABLE}\n")).collect()
}

fn elements(allowed: &[Allowed], family: fn(&IpAddr) -> bool) -> String {
    let one = |a: &Allowed| match a.ip {
        IpAddr::V4(ip) => format!("\"{}\" . {} . {ip}", a.port, a.mac),
        IpAddr::V6(ip) => format!("\"{}\" . {} . {:#034x}", a.port, a.mac, ip.to_bits()),
    };
    let list: alloc::vec::Vec<String> = allowed.iter().filter(|a| family(&a.ip)).map(one).collect();
    if list.is_empty() { String::new() } else { format!("    elements = {{ {} }}\n", list.join(", ")) }
}

/// FNV-1a, 32 bits: not a protection, only a short name for a text.
pub(crate) struct Fnv(u32);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0x811c_9dc5)
    }

    pub(crate) fn value(&self) -> u32 {
        self.0
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}
