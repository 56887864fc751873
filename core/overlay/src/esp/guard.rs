//! The nftables table beside the data path, as text for `nft -f`. Knows: which VXLAN packets may leave and come in. Must
//! not know: how to load it.
//!
//! It holds for plain networks too: nobody but the kernel's own VXLAN devices sends to the data-path port (a datagram made
//! by any program would be taken for a frame, CVE-2026-92542), and only members are listened to. For encrypted networks it
//! marks what is to go through IPsec, and drops what would leave or has come without it.
//!
//! What comes in is judged after fragments are put together: a first fragment may end before the VNI.

use super::sa::Mark;
use crate::rules::{Expected, Fnv, RulesDigest, comment};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{Display, Write};
use core::net::{IpAddr, Ipv4Addr};
use swarm_model::Vni;

/// Its name; not that of the tables of a place, which come and go with their bridge.
pub const GUARD_TABLE: &str = "swarmd-wire";

/// The protocol's number.
const ESP: u8 = 50;

/// What the table is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// This host's outer address.
    pub vtep: IpAddr,
    pub port: u16,
    /// The networks that are built here.
    pub plain: BTreeSet<Vni>,
    pub encrypted: BTreeSet<Vni>,
    /// Outer addresses of the other nodes on them.
    pub members: BTreeSet<IpAddr>,
}

/// The chains with the hooks they are on, in order.
const CHAINS: [(&str, &str); 5] = [
    ("own", "type filter hook output priority -160"),
    // Another mark means another look for a route, and that is where IPsec policies are looked up.
    ("marking", "type route hook output priority -150"),
    // The packet passes here once before IPsec and once as ESP.
    ("leaving", "type filter hook postrouting priority -150"),
    // After source addresses were translated (100).
    ("translated", "type filter hook postrouting priority 150"),
    ("arriving", "type filter hook input priority -150"),
];

impl Guard {
    /// A table that is there and not as it should be.
    pub fn wrong() -> Self {
        let (plain, encrypted, members) = Default::default();
        Self { vtep: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0, plain, encrypted, members }
    }

    pub fn covers(&self, vni: Vni) -> bool {
        self.plain.contains(&vni) || self.encrypted.contains(&vni)
    }

    /// The rules with their chains, in order.
    fn rules(&self) -> Vec<(&'static str, String)> {
        let (port, vtep) = (self.port, self.vtep);
        let family = if vtep.is_ipv4() { "ip" } else { "ip6" };
        let version = if vtep.is_ipv4() { "ipv4" } else { "ipv6" };
        let all = list(self.plain.union(&self.encrypted));
        let mut rules = Vec::new();
        // A packet of the kernel's own has no socket, or one in another network namespace. The number is nobody's.
        rules.push(("own", format!("udp dport {port} meta skuid != {} drop", u32::MAX)));
        if !self.encrypted.is_empty() {
            let encrypted = format!("udp dport {port} @th,96,24 {}", list(self.encrypted.iter()));
            rules.push(("marking", format!("{encrypted} meta mark set {:#x}", Mark::DATA.0)));
            rules.push(("leaving", format!("{encrypted} rt ipsec missing drop")));
            // The mark stays on what IPsec makes of a packet, which has none left to go through.
            let probe = format!("meta l4proto != {ESP} meta mark {:#x}", Mark::PROBE.0);
            rules.push(("leaving", format!("{probe} rt ipsec missing drop")));
        }
        // Made elsewhere and given this host's address on the way out, which would be a member's.
        rules.push(("translated", format!("udp dport {port} {family} saddr {vtep} ct status snat drop")));
        rules.push(("arriving", format!("udp dport {port} @th,96,24 {all} meta nfproto != {version} drop")));
        let strangers = match self.members.is_empty() {
            true => String::new(),
            false => format!(" {family} saddr != {}", list(self.members.iter())),
        };
        rules.push(("arriving", format!("udp dport {port} @th,96,24 {all}{strangers} drop")));
        if !self.encrypted.is_empty() {
            let encrypted = list(self.encrypted.iter());
            rules.push((
                "arriving",
                format!("udp dport {port} @th,96,24 {encrypted} meta secpath missing drop"),
            ));
        }
        rules
    }

    /// What an intact table looks like in the kernel.
    pub fn expected(&self) -> Expected {
        let rules = self.rules();
        let mut digest = Fnv::new();
        rules.iter().for_each(|(chain, rule)| {
            digest.add(chain.as_bytes());
            digest.add(rule.as_bytes());
        });
        Expected { digest: RulesDigest(digest.value()), rules: rules.len() }
    }

    /// The whole text: what is there is replaced in one transaction.
    pub fn text(&self) -> String {
        let digest = self.expected().digest;
        let rules = self.rules();
        let mut out = Self::removal();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "table inet {GUARD_TABLE} {{");
        for (chain, hook) in CHAINS {
            let _ = writeln!(out, "  chain {chain} {{\n    {hook}; policy accept;");
            for (number, (_, rule)) in rules.iter().enumerate().filter(|(_, (of, _))| *of == chain) {
                let _ = writeln!(out, "    {rule} comment \"{}\"", comment(digest, number));
            }
            out.push_str("  }\n");
        }
        out.push_str("}\n");
        out
    }

    /// Text that removes the table, whether it is there or not.
    pub fn removal() -> String {
        format!("table inet {GUARD_TABLE} {{}}\ndelete table inet {GUARD_TABLE}\n")
    }
}

/// A set without a name, never of nothing.
fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("{{ {} }}", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(plain: &[u32], encrypted: &[u32], members: &[&str]) -> Guard {
        let vnis = |all: &[u32]| all.iter().filter_map(|v| Vni::new(*v)).collect();
        Guard {
            vtep: IpAddr::from([10, 0, 0, 1]),
            port: 4789,
            plain: vnis(plain),
            encrypted: vnis(encrypted),
            members: members.iter().filter_map(|m| m.parse().ok()).collect(),
        }
    }

    #[test]
    fn a_plain_host_marks_nothing_and_whatever_differs_has_another_digest() {
        let plain = guard(&[4096], &[], &["10.0.0.2"]);
        assert!(!plain.text().contains("mark set") && !plain.text().contains("ipsec"));
        assert!(plain.text().contains("@th,96,24 { 4096 } ip saddr != { 10.0.0.2 } drop"));
        let others = [
            guard(&[4097], &[], &["10.0.0.2"]),
            guard(&[], &[4096], &["10.0.0.2"]),
            guard(&[4096], &[], &["10.0.0.2", "10.0.0.3"]),
            guard(&[4096], &[], &[]),
        ];
        let digests: BTreeSet<u32> = others.iter().chain([&plain]).map(|g| g.expected().digest.0).collect();
        assert_eq!(digests.len(), 5);
        assert!(others.iter().all(|g| g.text().matches("comment").count() == g.expected().rules));
    }

    #[test]
    fn nobody_is_listened_to_where_nobody_is_a_member() {
        assert!(guard(&[4096], &[], &[]).text().contains("@th,96,24 { 4096 } drop"));
    }
}
