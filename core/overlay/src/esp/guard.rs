//! The nftables table beside the data path, as text for `nft -f`. Knows: which VXLAN packets may leave and come in. Must
//! not know: how to load it.
//!
//! It holds for plain networks too: nobody but the kernel's own VXLAN devices sends to the data-path port (a datagram made
//! by any program would be taken for a frame, CVE-2026-92542), and a network listens to its own members only. For encrypted networks it
//! marks what is to go through IPsec, and drops what would leave or has come without it.
//!
//! What comes in is judged after fragments are put together: a first fragment may end before the VNI.

use super::sa::Mark;
use crate::rules::{Expected, Fnv, RulesDigest, comment};
use alloc::collections::{BTreeMap, BTreeSet};
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
    /// Outer addresses of the other nodes on each of them.
    pub members: BTreeMap<Vni, BTreeSet<IpAddr>>,
}

/// The chains with the hooks they are on, in order. After them comes one for what arrives for each network.
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
    fn rules(&self) -> Vec<(String, String)> {
        let (port, vtep) = (self.port, self.vtep);
        let family = family(vtep);
        let mut rules = Vec::new();
        let mut put = |chain: &str, rule: String| rules.push((chain.to_string(), rule));
        // A packet of the kernel's own has no socket, or one in another network namespace. The number is nobody's.
        put("own", format!("udp dport {port} meta skuid != {} drop", u32::MAX));
        if !self.encrypted.is_empty() {
            let encrypted = format!("udp dport {port} @th,96,24 {}", list(self.encrypted.iter()));
            put("marking", format!("{encrypted} meta mark set {:#x}", Mark::DATA.0));
            put("leaving", format!("{encrypted} rt ipsec missing drop"));
            // The mark stays on what IPsec makes of a packet, which has none left to go through.
            let probe = format!("meta l4proto != {ESP} meta mark {:#x}", Mark::PROBE.0);
            put("leaving", format!("{probe} rt ipsec missing drop"));
        }
        // Made elsewhere and given this host's address on the way out, which would be a member's.
        put("translated", format!("udp dport {port} {family} saddr {vtep} ct status snat drop"));
        if self.networks().next().is_some() {
            let ways = list(self.networks().map(|vni| format!("{vni} : goto {}", chain_of(*vni))));
            put("arriving", format!("udp dport {port} @th,96,24 vmap {ways}"));
        }
        for vni in self.networks() {
            self.arriving(*vni).into_iter().for_each(|rule| put(&chain_of(*vni), rule));
        }
        rules
    }

    fn networks(&self) -> impl Iterator<Item = &Vni> {
        self.plain.union(&self.encrypted)
    }

    /// What of a network's packets is not for its device.
    fn arriving(&self, vni: Vni) -> Vec<String> {
        let version = if self.vtep.is_ipv4() { "ipv4" } else { "ipv6" };
        let Some(members) = self.members.get(&vni).filter(|members| !members.is_empty()) else {
            return Vec::from(["drop".to_string()]);
        };
        let mut rules = Vec::from([
            format!("meta nfproto != {version} drop"),
            format!("{} saddr != {} drop", family(self.vtep), list(members.iter())),
        ]);
        if self.encrypted.contains(&vni) {
            rules.push("meta secpath missing drop".to_string());
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
            of_chain(&rules, chain, digest, &mut out);
        }
        for vni in self.networks() {
            let chain = chain_of(*vni);
            let _ = writeln!(out, "  chain {chain} {{");
            of_chain(&rules, &chain, digest, &mut out);
        }
        out.push_str("}\n");
        out
    }

    /// Text that removes the table, whether it is there or not.
    pub fn removal() -> String {
        format!("table inet {GUARD_TABLE} {{}}\ndelete table inet {GUARD_TABLE}\n")
    }
}

fn family(vtep: IpAddr) -> &'static str {
    if vtep.is_ipv4() { "ip" } else { "ip6" }
}

fn chain_of(vni: Vni) -> String {
    format!("from{vni}")
}

/// Its rules, each with its number among all, and the bracket that ends it.
fn of_chain(rules: &[(String, String)], chain: &str, digest: RulesDigest, out: &mut String) {
    for (number, (_, rule)) in rules.iter().enumerate().filter(|(_, (of, _))| of == chain) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "    {rule} comment \"{}\"", comment(digest, number));
    }
    out.push_str("  }\n");
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
        let addresses = || members.iter().filter_map(|m| m.parse().ok()).collect();
        let vnis = |all: &[u32]| all.iter().filter_map(|v| Vni::new(*v)).collect();
        Guard {
            vtep: IpAddr::from([10, 0, 0, 1]),
            port: 4789,
            plain: vnis(plain),
            encrypted: vnis(encrypted),
            members: plain
                .iter()
                .chain(encrypted)
                .filter_map(|v| Some((Vni::new(*v)?, addresses())))
                .collect(),
        }
    }

    #[test]
    fn a_plain_host_marks_nothing_and_whatever_differs_has_another_digest() {
        let plain = guard(&[4096], &[], &["10.0.0.2"]);
        assert!(!plain.text().contains("mark set") && !plain.text().contains("ipsec"));
        assert!(plain.text().contains("@th,96,24 vmap { 4096 : goto from4096 }"));
        assert!(plain.text().contains("ip saddr != { 10.0.0.2 } drop"));
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
        let text = guard(&[4096], &[], &[]).text();
        assert!(text.contains("chain from4096 {\n    drop comment"), "{text}");
    }

    #[test]
    fn a_member_of_one_network_is_a_stranger_to_another() {
        let mut guard = guard(&[4096], &[4097], &["10.0.0.2"]);
        guard.members.insert(Vni::new(4097).unwrap(), BTreeSet::from([IpAddr::from([10, 0, 0, 3])]));
        let text = guard.text();
        let chain = |vni: &str| {
            text.split(&format!("chain from{vni} {{")).nth(1).unwrap().split('}').next().unwrap().to_string()
        };
        assert!(chain("4096").contains("10.0.0.2") && !chain("4096").contains("10.0.0.3"), "{text}");
        assert!(chain("4097").contains("10.0.0.3") && !chain("4097").contains("10.0.0.2"), "{text}");
    }
}
