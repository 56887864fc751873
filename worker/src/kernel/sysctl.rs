//! Settings below /proc/sys/net, of the calling thread's namespace. Knows: files. Must not know: why.

use super::KernelError;
use std::fs;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// Beyond the third, new neighbours are refused; between first and third they are collected early. One table for all
/// namespaces of a host, settable in the first one only. Our own entries are permanent and do not count, but
/// those the sandboxes learn do.
const NEIGHBOUR_LIMITS: [(&str, &str); 3] =
    [("gc_thresh1", "8192"), ("gc_thresh2", "32768"), ("gc_thresh3", "65536")];

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
