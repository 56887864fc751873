//! How large an object is in the log, estimated from above, so that what cannot be stored is refused at the door.

use crate::limits::MAX_OBJECT_BYTES;
use crate::{NewEndpoint, Refusal};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt::Display;
use swarm_model::{IpamConfig, NetworkSpec};

/// Ids, numbers, field names and their framing in one object.
const FIXED: usize = 512;
/// Framing and the longest address or CIDR, as text.
const ADDRESS: usize = 64;
/// Framing of one short text.
const FRAME: usize = 5;

pub fn check_text(what: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    match text.len() {
        bytes if bytes > limit => Err(Refusal::TooLong { what: what.into(), bytes, limit }),
        _ => Ok(()),
    }
}

pub fn check_object(what: impl Display, bytes: usize) -> Result<(), Refusal> {
    if bytes <= MAX_OBJECT_BYTES {
        return Ok(());
    }
    Err(Refusal::TooLong { what: alloc::format!("{what}"), bytes, limit: MAX_OBJECT_BYTES })
}

pub fn of_map(map: &BTreeMap<String, String>) -> usize {
    map.iter().map(|(key, value)| key.len() + value.len() + 2 * FRAME).sum()
}

pub fn of_network(spec: &NetworkSpec) -> usize {
    // Each subnet stands in the spec and, with what was allocated, in the network.
    let subnets: usize = spec.ipam.iter().map(of_ipam).sum();
    FIXED + spec.name.as_str().len() + 2 * subnets + of_map(&spec.options) + of_map(&spec.labels)
}

fn of_ipam(config: &IpamConfig) -> usize {
    let aux: usize = config.aux_addresses.keys().map(|name| name.len() + FRAME + ADDRESS).sum();
    3 * ADDRESS + aux
}

pub fn of_endpoint(new: &NewEndpoint) -> usize {
    let aliases: usize = new.aliases.iter().map(|alias| alias.as_str().len() + FRAME).sum();
    FIXED + new.name.as_str().len() + 2 * ADDRESS + aliases
}

pub fn of_node(hostname: &str, labels: &BTreeMap<String, String>) -> usize {
    FIXED + 2 * ADDRESS + hostname.len() + of_map(labels)
}
