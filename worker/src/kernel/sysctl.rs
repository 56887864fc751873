//! Settings below /proc/sys/net, of the calling thread's namespace. Knows: files. Must not know: why.

use super::KernelError;
use std::fs;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// Beyond the third, new neighbours are refused; between first and third they are collected early. One table
/// for all namespaces of a host, settable in the first one only. Our own entries are permanent and do not
/// count, but those the sandboxes learn do.
const NEIGHBOUR_LIMITS: [(&str, &str); 3] =
    [("gc_thresh1", "8192"), ("gc_thresh2", "32768"), ("gc_thresh3", "65536")];

/// Hands bridged packets to the IP firewall's hooks, where that module is loaded. In an overlay's namespace
/// there is no IP firewall; the detour would only cost time, and drop what IP routing would drop.
const BRIDGE_DETOURS: [&str; 3] =
    ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"];

/// Bridged frames stay frames. Without the module there is nothing to turn off.
pub fn bridge_only() {
    for name in BRIDGE_DETOURS {
        let path = format!("/proc/sys/net/bridge/{name}");
        if std::path::Path::new(&path).exists()
            && let Err(error) = fs::write(&path, "0")
        {
            tracing::warn!(path, %error, "cannot turn off the detour of bridged packets");
        }
    }
}

pub fn forwarding() -> bool {
    fs::read_to_string(FORWARDING).is_ok_and(|text| text.trim() != "0")
}

pub fn enable_forwarding() -> Result<(), KernelError> {
    fs::write(FORWARDING, "1").map_err(|e| KernelError::io(format!("write 1 to {FORWARDING}"), e))
}

/// Raises the limits that are lower. Where they are not to be seen (any but the first namespace) or not to be
/// written, they stay.
pub fn raise_neighbour_limits() {
    for family in ["ipv4", "ipv6"] {
        for (name, least) in NEIGHBOUR_LIMITS {
            let path = format!("/proc/sys/net/{family}/neigh/default/{name}");
            let lower = |held: &String| held.trim().parse::<u64>().ok() < least.parse::<u64>().ok();
            if fs::read_to_string(&path).is_ok_and(|held| lower(&held)) {
                match fs::write(&path, least) {
                    Ok(()) => tracing::info!(path, least, "raised a neighbour table limit"),
                    Err(error) => {
                        tracing::warn!(path, least, %error, "could not raise a neighbour table limit")
                    }
                }
            }
        }
    }
}
