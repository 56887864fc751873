//! Whether this process may do what a daemon does, asked before anything is touched (capabilities(7)).

use anyhow::bail;

/// Bit number (linux/capability.h), name, and what fails without it.
const NEEDED: [(u32, &str, &str); 3] = [
    (10, "CAP_NET_BIND_SERVICE", "to answer DNS on port 53 inside sandboxes"),
    (12, "CAP_NET_ADMIN", "to program links, addresses and routes"),
    (21, "CAP_SYS_ADMIN", "to make and enter network namespaces"),
];

/// # Errors
/// A sentence that names every capability that is missing.
pub fn check() -> anyhow::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing(effective(&status));
    if missing.is_empty() {
        return Ok(());
    }
    bail!("swarmd needs root or these capabilities: {}", missing.join("; "))
}

/// The effective set in `/proc/PID/status`; none when the line is not there.
fn effective(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

fn missing(effective: u64) -> Vec<String> {
    NEEDED
        .iter()
        .filter(|(bit, ..)| effective & (1 << bit) == 0)
        .map(|(_, name, why)| format!("{name} ({why})"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_ones_are_named() {
        assert!(missing(effective("Name:\tx\nCapEff:\t000001ffffffffff\n")).is_empty());
        let named = missing(effective("CapEff:\t0000000000001400\n"));
        assert_eq!(named.len(), 1);
        assert!(named[0].starts_with("CAP_SYS_ADMIN"));
        assert_eq!(missing(effective("")).len(), 3);
    }
}
