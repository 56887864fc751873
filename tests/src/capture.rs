//! Counting frames on the wire or in any network namespace, with nftables counters. Knows nft, not what is counted.

use crate::run::run;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Counts what matches an nft expression at one hook.
pub struct Counter {
    net: PathBuf,
    table: String,
}

impl Counter {
    /// Frames forwarded by the bridge of that namespace, such as `ip saddr 10.88.0.1 udp dport 4789`.
    pub fn on_bridge(net: &Path, expression: &str) -> Result<Self> {
        Self::new(net, "bridge", "forward", expression)
    }

    /// Packets delivered to that namespace.
    pub fn at_input(net: &Path, expression: &str) -> Result<Self> {
        Self::new(net, "inet", "input", expression)
    }

    fn new(net: &Path, family: &str, hook: &str, expression: &str) -> Result<Self> {
        let table = format!("{family} seen{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let counter = Self { net: net.to_owned(), table };
        let t = &counter.table;
        counter.nft(&format!(
            "add table {t}; add chain {t} c {{ type filter hook {hook} priority -300; }}; add rule {t} c {expression} counter"
        ))?;
        Ok(counter)
    }

    /// Packets seen so far.
    pub fn packets(&self) -> Result<u64> {
        let shown = self.nft(&format!("list table {}", self.table))?;
        let packets = shown.split_whitespace().skip_while(|w| *w != "packets").nth(1);
        Ok(packets.with_context(|| shown.clone())?.parse()?)
    }

    fn nft(&self, rules: &str) -> Result<String> {
        nft(&self.net, rules)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // The namespace may be gone already, and the counter with it.
        let _ = self.nft(&format!("delete table {}", self.table));
    }
}

/// Runs `nft` in a network namespace.
pub fn nft(net: &Path, rules: &str) -> Result<String> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", net.display())).arg("nft").arg(rules);
    run(command, Duration::from_secs(10))?.ok()
}
