//! Networks as printed: a line of `network ls`, and the whole of `network inspect`.

use super::pretty::Lines;
use super::time::rfc3339;
use super::words::{self, short};
use super::{Object, Row, View};
use serde::Serialize;
use std::collections::BTreeMap;
use swarm_proto::v1;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkRow {
    #[serde(rename = "ID")]
    pub id: String,
    pub name: String,
    pub driver: String,
    pub scope: String,
    #[serde(rename = "IPv6")]
    pub ipv6: bool,
    pub internal: bool,
    pub attachable: bool,
    pub created_at: String,
    pub labels: BTreeMap<String, String>,
}

impl NetworkRow {
    pub fn new(network: v1::LocalNetwork) -> Self {
        let shared = network.network.unwrap_or_default();
        let spec = shared.spec.unwrap_or_default();
        Self {
            id: network.id,
            name: network.name,
            driver: network.driver,
            scope: network.scope,
            ipv6: spec.ipv6,
            internal: spec.internal,
            attachable: spec.attachable,
            created_at: rfc3339(shared.created_ms),
            labels: spec.labels,
        }
    }
}

impl View for NetworkRow {
    fn example() -> Self {
        Self::default()
    }
}

impl Row for NetworkRow {
    const HEADERS: &'static [&'static str] = &["NETWORK ID", "NAME", "DRIVER", "SCOPE"];

    fn cells(&self, full_ids: bool) -> Vec<String> {
        vec![self.id(full_ids).to_owned(), self.name.clone(), self.driver.clone(), self.scope.clone()]
    }

    fn id(&self, full_ids: bool) -> &str {
        if full_ids { &self.id } else { short(&self.id) }
    }
}

/// The names are those of `docker network inspect`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkObject {
    name: String,
    id: String,
    created: String,
    scope: String,
    driver: String,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam,
    internal: bool,
    attachable: bool,
    ingress: bool,
    encrypted: bool,
    #[serde(rename = "VNI")]
    vni: u32,
    /// By sandbox id: those of this host, with `-v` those of all.
    containers: BTreeMap<String, Container>,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    peers: Vec<Peer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    driver: &'static str,
    options: BTreeMap<String, String>,
    config: Vec<IpamConfig>,
}

impl Default for Ipam {
    fn default() -> Self {
        Self { driver: "default", options: BTreeMap::new(), config: Vec::new() }
    }
}

#[derive(Debug, Default, Serialize)]
struct IpamConfig {
    #[serde(rename = "Subnet")]
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty")]
    ip_range: String,
    #[serde(rename = "Gateway")]
    gateway: String,
    #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "BTreeMap::is_empty")]
    aux_addresses: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
    aliases: Vec<String>,
    #[serde(rename = "NodeID")]
    node_id: String,
    node: String,
}

#[derive(Debug, Default, Serialize)]
struct Peer {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "IP")]
    ip: String,
    #[serde(rename = "NodeID")]
    node_id: String,
    /// On an encrypted network that this node is on: how far it is with this peer.
    #[serde(rename = "Encryption", skip_serializing_if = "String::is_empty")]
    encryption: String,
}

impl NetworkObject {
    /// A network of the cluster. `only_on` leaves out the endpoints of other nodes.
    pub fn of_cluster(answer: v1::GetNetworkResponse, only_on: Option<&str>) -> Self {
        let network = answer.network.unwrap_or_default();
        let spec = network.spec.unwrap_or_default();
        let driver = words::driver(spec.driver);
        let hostnames: BTreeMap<&str, &str> =
            answer.peers.iter().map(|peer| (peer.node.as_str(), peer.hostname.as_str())).collect();
        let shown = |endpoint: &v1::Endpoint| only_on.is_none_or(|node| endpoint.node == node);
        let containers = answer.endpoints.into_iter().filter(shown).map(|endpoint| {
            let host = hostnames.get(endpoint.node.as_str()).copied().unwrap_or_default().to_owned();
            (endpoint.sandbox.clone(), container(endpoint, host))
        });
        Self {
            name: spec.name,
            id: network.id,
            created: rfc3339(network.created_ms),
            scope: "swarm".into(),
            driver: driver.to_owned(),
            enable_ipv6: spec.ipv6,
            ipam: Ipam { config: network.subnets.into_iter().map(subnet).collect(), ..Ipam::default() },
            internal: spec.internal,
            attachable: spec.attachable,
            ingress: network.predefined,
            encrypted: spec.encrypted,
            vni: network.vni,
            containers: containers.collect(),
            options: spec.options,
            labels: spec.labels,
            peers: answer.peers.iter().map(peer).collect(),
        }
    }

    /// How far this node is with the peers of an encrypted network.
    pub fn with_tunnels(mut self, tunnels: &[v1::Tunnel]) -> Self {
        for peer in self.peers.iter_mut().filter(|_| self.encrypted) {
            if let Some(tunnel) = tunnels.iter().find(|tunnel| tunnel.node == peer.node_id) {
                peer.encryption = words::encryption(&tunnel.state, &tunnel.reason);
            }
        }
        self
    }

    /// A network of this host alone.
    pub fn of_host(network: v1::LocalNetwork) -> Self {
        let v1::LocalNetwork { id, name, driver, scope, .. } = network;
        Self { id, name, driver, scope, ..Self::default() }
    }
}

fn subnet(subnet: v1::Subnet) -> IpamConfig {
    let v1::Subnet { cidr, gateway, ip_range, aux_addresses } = subnet;
    IpamConfig { subnet: cidr, ip_range, gateway, aux_addresses }
}

fn container(endpoint: v1::Endpoint, node: String) -> Container {
    let of_family =
        |v6: bool| endpoint.addresses.iter().find(|a| a.contains(':') == v6).cloned().unwrap_or_default();
    Container {
        ipv4_address: of_family(false),
        ipv6_address: of_family(true),
        name: endpoint.name,
        endpoint_id: endpoint.id,
        mac_address: endpoint.mac,
        aliases: endpoint.aliases,
        node_id: endpoint.node,
        node,
    }
}

fn peer(peer: &v1::Peer) -> Peer {
    let (name, ip) = (peer.hostname.clone(), peer.data_path_addr.clone());
    Peer { name, ip, node_id: peer.node.clone(), encryption: String::new() }
}

impl View for NetworkObject {
    fn example() -> Self {
        Self::default()
    }
}

impl Object for NetworkObject {
    fn id(&self) -> &str {
        &self.id
    }

    fn pretty(&self) -> String {
        let mut lines = Lines::default();
        let flags = [
            (self.attachable, "attachable"),
            (self.internal, "internal"),
            (self.ingress, "predefined"),
            (self.enable_ipv6, "IPv6"),
            (self.encrypted, "encrypted"),
        ];
        let flags: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
        lines.put("ID", &self.id).put("Name", &self.name).put("Created at", &self.created);
        lines.put("Driver", &self.driver).put("Scope", &self.scope).put("Flags", flags.join(", "));
        lines.put("VNI", if self.vni == 0 { String::new() } else { self.vni.to_string() });
        for config in &self.ipam.config {
            lines.put("Subnet", format!("{}, gateway {}", config.subnet, config.gateway));
        }
        lines.labels(&self.labels);
        if !self.containers.is_empty() {
            lines.heading("Endpoints");
        }
        for container in self.containers.values() {
            let on = if container.node.is_empty() { &container.node_id } else { &container.node };
            lines.indented(1, &container.name, format!("{} on {on}", container.addresses()));
        }
        if !self.peers.is_empty() {
            lines.heading("Nodes");
        }
        for peer in &self.peers {
            let encryption = match peer.encryption.as_str() {
                "" => String::new(),
                said => format!(", {said}"),
            };
            lines.indented(1, &peer.name, format!("{}{encryption}", peer.ip));
        }
        lines.finish()
    }
}

impl Container {
    fn addresses(&self) -> String {
        let both = [self.ipv4_address.as_str(), self.ipv6_address.as_str()];
        both.into_iter().filter(|a| !a.is_empty()).collect::<Vec<_>>().join(", ")
    }
}
