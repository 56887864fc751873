//! Sandboxes as printed by `ps`.

use super::time::rfc3339;
use super::words::{self, capital, short};
use super::{Row, View};
use serde::Serialize;
use swarm_proto::v1;

/// Longest command shown in a table, in characters.
const COMMAND_WIDTH: usize = 40;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SandboxRow {
    #[serde(rename = "ID")]
    pub id: String,
    pub name: String,
    /// run or attached.
    pub kind: String,
    /// Created, Running or Exited.
    pub status: String,
    /// 0: none.
    pub pid: i32,
    pub networks: Vec<String>,
    /// Without prefix lengths, in the order of the networks.
    pub addresses: Vec<String>,
    pub command: Vec<String>,
    pub hostname: String,
    pub netns: String,
    pub created_at: String,
    pub endpoints: Vec<EndpointView>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointView {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "NetworkID")]
    network_id: String,
    network: String,
    addresses: Vec<String>,
    mac_address: String,
    interface: String,
    aliases: Vec<String>,
    #[serde(rename = "MTU")]
    mtu: u32,
}

impl SandboxRow {
    pub fn new(sandbox: v1::Sandbox) -> Self {
        let endpoints = &sandbox.endpoints;
        let bare = |cidr: &String| cidr.split('/').next().unwrap_or_default().to_owned();
        Self {
            networks: endpoints.iter().map(|endpoint| endpoint.network_name.clone()).collect(),
            addresses: endpoints.iter().flat_map(|endpoint| endpoint.addresses.iter().map(bare)).collect(),
            id: sandbox.id,
            name: sandbox.name,
            kind: words::sandbox_kind(sandbox.kind).to_owned(),
            status: capital(words::sandbox_state(sandbox.state)),
            pid: sandbox.pid,
            command: sandbox.command,
            hostname: sandbox.hostname,
            netns: sandbox.netns,
            created_at: rfc3339(sandbox.created_ms),
            endpoints: sandbox.endpoints.into_iter().map(endpoint).collect(),
        }
    }
}

fn endpoint(endpoint: v1::SandboxEndpoint) -> EndpointView {
    EndpointView {
        id: endpoint.id,
        network_id: endpoint.network,
        network: endpoint.network_name,
        addresses: endpoint.addresses,
        mac_address: endpoint.mac,
        interface: endpoint.ifname,
        aliases: endpoint.aliases,
        mtu: endpoint.mtu,
    }
}

impl View for SandboxRow {
    fn example() -> Self {
        Self::default()
    }
}

impl Row for SandboxRow {
    const HEADERS: &'static [&'static str] =
        &["SANDBOX ID", "NAME", "KIND", "STATUS", "PID", "NETWORKS", "ADDRESSES", "COMMAND"];

    fn cells(&self, full: bool) -> Vec<String> {
        let command = self.command.join(" ");
        let command = match command.char_indices().nth(COMMAND_WIDTH) {
            Some((end, _)) if !full => format!("{}…", command.get(..end).unwrap_or_default()),
            _ => command,
        };
        vec![
            self.id(full).to_owned(),
            self.name.clone(),
            self.kind.clone(),
            self.status.clone(),
            if self.pid == 0 { String::new() } else { self.pid.to_string() },
            self.networks.join(","),
            self.addresses.join(","),
            command,
        ]
    }

    fn id(&self, full_ids: bool) -> &str {
        if full_ids { &self.id } else { short(&self.id) }
    }
}
