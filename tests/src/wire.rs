//! What the wire between the hosts loses of the control plane: one nft table on its bridge, written anew whenever a fault
//! begins or ends. Control plane is TCP; VXLAN is UDP and is left alone. Knows nft; must not know why.

use crate::capture::nft;
use anyhow::Result;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;

const TABLE: &str = "bridge damage";

pub struct Wire {
    net: PathBuf,
    rules: Mutex<(u64, BTreeMap<u64, Vec<String>>)>,
}

impl Wire {
    pub fn new(net: PathBuf) -> Self {
        Self { net, rules: Mutex::default() }
    }

    /// Drops TCP that matches any of these, until it is told to mend them.
    pub fn damage(&self, matches: &[String]) -> Result<u64> {
        let mut rules = self.rules.lock();
        rules.0 += 1;
        let id = rules.0;
        rules.1.insert(id, matches.to_vec());
        self.write(&rules.1)?;
        Ok(id)
    }

    pub fn mend(&self, id: u64) -> Result<()> {
        let mut rules = self.rules.lock();
        rules.1.remove(&id);
        self.write(&rules.1)
    }

    /// In one transaction.
    fn write(&self, rules: &BTreeMap<u64, Vec<String>>) -> Result<()> {
        let drops = rules.values().flatten();
        let drops: String =
            drops.map(|matching| format!("; add rule {TABLE} c meta l4proto tcp {matching} drop")).collect();
        let chain = "{ type filter hook forward priority -300; }";
        let anew = format!(
            "add table {TABLE}; delete table {TABLE}; add table {TABLE}; add chain {TABLE} c {chain}"
        );
        nft(&self.net, &format!("{anew}{drops}")).map(drop)
    }
}

/// From one address to another.
pub fn one_way(from: &str, to: &str) -> String {
    format!("ip saddr {from} ip daddr {to}")
}

pub fn to(address: &str) -> String {
    format!("ip daddr {address}")
}

pub fn from(address: &str) -> String {
    format!("ip saddr {address}")
}

pub fn share(percent: usize) -> String {
    format!("numgen random mod 100 < {percent}")
}
