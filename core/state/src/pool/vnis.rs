//! VXLAN network identifiers for networks that asked for none.

use alloc::collections::BTreeMap;
use swarm_model::{NetworkId, Vni};

const COUNT: u32 = Vni::MAX - Vni::FIRST_ALLOCATED + 1;

/// The next free VNI from the cursor on, and the cursor behind it. `None` when all are used.
pub fn next_vni(cursor: u32, used: &BTreeMap<Vni, NetworkId>) -> Option<(Vni, u32)> {
    (0..COUNT).map(|step| (cursor % COUNT + step) % COUNT).find_map(|offset| {
        let vni = Vni::new(Vni::FIRST_ALLOCATED + offset)?;
        (!used.contains_key(&vni)).then_some((vni, (offset + 1) % COUNT))
    })
}
