//! Endpoints on the wire and in the model.

use crate::convert::{ConvertError, ID, MAC, NAME, parse, parse_all};
use crate::v1;
use swarm_model as model;

impl From<&model::Endpoint> for v1::Endpoint {
    fn from(endpoint: &model::Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            network: endpoint.network.to_string(),
            node: endpoint.node.to_string(),
            sandbox: endpoint.sandbox.to_string(),
            name: endpoint.name.to_string(),
            aliases: endpoint.aliases.iter().map(ToString::to_string).collect(),
            addresses: endpoint.addresses.iter().map(ToString::to_string).collect(),
            mac: endpoint.mac.to_string(),
            created_ms: endpoint.created_ms,
        }
    }
}

impl TryFrom<v1::Endpoint> for model::Endpoint {
    type Error = ConvertError;

    fn try_from(endpoint: v1::Endpoint) -> Result<Self, ConvertError> {
        let cidr = "an address with its subnet's prefix length, as in 10.0.1.5/24";
        Ok(Self {
            id: parse("id", &endpoint.id, ID)?,
            network: parse("network", &endpoint.network, ID)?,
            node: parse("node", &endpoint.node, ID)?,
            sandbox: parse("sandbox", &endpoint.sandbox, ID)?,
            name: parse("name", &endpoint.name, NAME)?,
            aliases: parse_all("aliases", &endpoint.aliases, NAME)?,
            addresses: parse_all("addresses", &endpoint.addresses, cidr)?,
            mac: parse("mac", &endpoint.mac, MAC)?,
            created_ms: endpoint.created_ms,
        })
    }
}
