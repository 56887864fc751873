//! The networks this host knows without asking anybody. Pure.

use ring::digest::{SHA256, digest};
use swarm_model::{Assigned, NetworkId, NodeId, Scope};
use swarm_proto::v1;

/// The host's own, and their drivers.
const LOCAL: [(&str, &str); 4] =
    [("bridge", "bridge"), ("host", "host"), ("none", "null"), ("swarm_gwbridge", "bridge")];

/// Those of the assignment and the host's own, by name.
pub(crate) fn networks(node: NodeId, assigned: &Assigned) -> Vec<v1::LocalNetwork> {
    let local = LOCAL.iter().map(|(name, driver)| v1::LocalNetwork {
        id: local_id(node, name).to_string(),
        name: (*name).into(),
        driver: (*driver).into(),
        scope: Scope::Local.as_str().into(),
        network: None,
    });
    let assigned = assigned.networks.values().map(|network| v1::LocalNetwork {
        id: network.id.to_string(),
        name: network.name().to_string(),
        driver: network.spec.driver.as_str().into(),
        scope: Scope::Swarm.as_str().into(),
        network: Some(network.into()),
    });
    let mut all: Vec<_> = local.chain(assigned).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// Different on every node and the same after every restart: made from the node's id and the name.
fn local_id(node: NodeId, name: &str) -> NetworkId {
    let sum = digest(&SHA256, format!("{node}/{name}").as_bytes());
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(sum.as_ref()).for_each(|(to, from)| *to = *from);
    NetworkId::from_random(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_model::Id;

    #[test]
    fn local_networks_have_lasting_ids_of_their_own() {
        let on = |n: u8| networks(Id::from_random([n; 16]), &Assigned::default());
        let names: Vec<String> = on(1).into_iter().map(|n| n.name).collect();
        assert_eq!(names, ["bridge", "host", "none", "swarm_gwbridge"]);
        assert_eq!(on(1), on(1));
        assert_ne!(on(1), on(2));
    }
}
