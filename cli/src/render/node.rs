//! Nodes as printed: a line of `node ls`, and the whole of `node inspect`.

use super::pretty::Lines;
use super::time::rfc3339;
use super::words::{self, capital};
use super::{Object, Row, View};
use serde::Serialize;
use std::collections::BTreeMap;
use swarm_proto::v1;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeRow {
    #[serde(rename = "ID")]
    pub id: String,
    pub hostname: String,
    /// The node that was asked.
    #[serde(rename = "Self")]
    pub own: bool,
    pub status: String,
    pub availability: String,
    /// Leader, Reachable, Unreachable or empty.
    pub manager_status: String,
    /// Why a manager that answers counts for nothing: beside its status.
    #[serde(skip)]
    pub trouble: String,
    pub version: String,
    pub role: String,
    pub addr: String,
    pub labels: BTreeMap<String, String>,
    /// Ready, or Needs Rotation while the root CA is being replaced.
    #[serde(rename = "TLSStatus")]
    pub tls_status: String,
    #[serde(flatten)]
    pub signs: Signs,
}

impl NodeRow {
    pub fn new(node: v1::Node, own_id: &str) -> Self {
        let state = node.status.as_ref().map_or(0, |status| status.state);
        let reachability = node.manager.as_ref().map_or(0, |manager| manager.reachability);
        Self {
            trouble: node.manager.as_ref().map_or_else(String::new, |manager| manager.trouble.clone()),
            own: node.id == own_id,
            id: node.id,
            hostname: node.hostname,
            status: capital(words::node_state(state)),
            availability: capital(words::availability(node.availability)),
            manager_status: capital(words::reachability(reachability)),
            version: node.version,
            role: words::role(node.role).to_owned(),
            addr: node.addr,
            labels: node.labels,
            tls_status: words::tls_status(node.tls).to_owned(),
            signs: signs(node.liveness.unwrap_or_default()),
        }
    }
}

impl View for NodeRow {
    fn example() -> Self {
        Self::default()
    }
}

impl Row for NodeRow {
    const HEADERS: &'static [&'static str] =
        &["ID", "HOSTNAME", "STATUS", "AVAILABILITY", "MANAGER STATUS", "VERSION"];

    fn cells(&self, _: bool) -> Vec<String> {
        let mark = if self.own { " *" } else { "" };
        vec![
            format!("{}{mark}", self.id),
            self.hostname.clone(),
            self.status.clone(),
            self.availability.clone(),
            with_trouble(&self.manager_status, &self.trouble),
            self.version.clone(),
        ]
    }

    fn id(&self, _: bool) -> &str {
        &self.id
    }
}

/// Whether a node is there, as far as the manager asked can tell.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Signs {
    /// alive, suspect, down, or self; unknown while the manager's own node has not heard of it.
    pub gossip: String,
    /// Of its last answer to that node; empty: none.
    pub round_trip: String,
    /// held, none or unknown.
    pub session: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Liveness {
    #[serde(flatten)]
    signs: Signs,
    /// The manager that holds the session; empty: none, or not known.
    #[serde(rename = "SessionManagerID")]
    session_manager: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeObject {
    #[serde(rename = "ID")]
    id: String,
    created_at: String,
    /// Grows with each change of the spec; `node update --if-revision` takes it.
    revision: u64,
    spec: Spec,
    description: Description,
    status: Status,
    liveness: Liveness,
    /// Ready, or Needs Rotation while the root CA is being replaced.
    #[serde(rename = "TLSStatus")]
    tls_status: String,
    manager_status: Option<ManagerStatus>,
    endpoints: Vec<EndpointOnNode>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    labels: BTreeMap<String, String>,
    role: String,
    availability: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    hostname: String,
    version: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: String,
    message: String,
    since: String,
    addr: String,
    data_path_addr: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ManagerStatus {
    leader: bool,
    /// reachable or unreachable; empty while the manager asked cannot say.
    reachability: String,
    /// Why it is unreachable though it answers, or leads though it takes no changes.
    trouble: String,
    addr: String,
    member: String,
    #[serde(rename = "RaftID")]
    raft_id: u64,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct EndpointOnNode {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    #[serde(rename = "NetworkID")]
    network_id: String,
    addresses: Vec<String>,
    mac_address: String,
}

/// A line of `node ps`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointRow {
    #[serde(rename = "ID")]
    pub id: String,
    pub name: String,
    pub node: String,
    pub network: String,
    pub addresses: Vec<String>,
    pub mac_address: String,
    pub created_at: String,
}

impl EndpointRow {
    pub fn new(endpoint: v1::Endpoint, host: &str, networks: &[v1::Network]) -> Self {
        let network = networks.iter().find(|network| network.id == endpoint.network);
        let name = network.and_then(|network| Some(network.spec.as_ref()?.name.clone()));
        Self {
            id: endpoint.id,
            name: endpoint.name,
            node: host.to_owned(),
            network: name.unwrap_or(endpoint.network),
            addresses: endpoint.addresses,
            mac_address: endpoint.mac,
            created_at: rfc3339(endpoint.created_ms),
        }
    }
}

impl View for EndpointRow {
    fn example() -> Self {
        Self::default()
    }
}

impl Row for EndpointRow {
    const HEADERS: &'static [&'static str] = &["ENDPOINT ID", "NAME", "NODE", "NETWORK", "ADDRESSES"];

    fn cells(&self, full: bool) -> Vec<String> {
        let (name, node, network) = (self.name.clone(), self.node.clone(), self.network.clone());
        vec![self.id(full).to_owned(), name, node, network, self.addresses.join(",")]
    }

    fn id(&self, full_ids: bool) -> &str {
        if full_ids { &self.id } else { words::short(&self.id) }
    }
}

impl NodeObject {
    pub fn new(node: v1::Node, endpoints: Vec<v1::Endpoint>) -> Self {
        let status = node.status.unwrap_or_default();
        let liveness = node.liveness.unwrap_or_default();
        Self {
            id: node.id,
            created_at: rfc3339(node.joined_ms),
            revision: node.revision,
            spec: Spec {
                labels: node.labels,
                role: words::role(node.role).to_owned(),
                availability: words::availability(node.availability).to_owned(),
            },
            description: Description { hostname: node.hostname, version: node.version },
            status: Status {
                state: words::node_state(status.state).to_owned(),
                message: status.message,
                since: rfc3339(status.since_ms),
                addr: node.addr,
                data_path_addr: node.data_path_addr,
            },
            liveness: Liveness { session_manager: liveness.session_manager.clone(), signs: signs(liveness) },
            tls_status: words::tls_status(node.tls).to_owned(),
            manager_status: node.manager.map(manager_status),
            endpoints: endpoints.into_iter().map(endpoint).collect(),
        }
    }
}

fn signs(liveness: v1::Liveness) -> Signs {
    Signs {
        gossip: words::hearing(liveness.gossip).to_owned(),
        round_trip: words::round_trip(liveness.round_trip_us),
        session: words::session(liveness.session).to_owned(),
    }
}

/// `Unreachable (disk full)`.
fn with_trouble(status: &str, trouble: &str) -> String {
    if trouble.is_empty() { status.to_owned() } else { format!("{status} ({trouble})") }
}

fn manager_status(manager: v1::ManagerInfo) -> ManagerStatus {
    let reachability = words::reachability(manager.reachability);
    let leader = reachability == "leader";
    ManagerStatus {
        leader,
        reachability: if leader { "reachable" } else { reachability }.to_owned(),
        trouble: manager.trouble,
        addr: manager.addr,
        member: words::member(manager.member).to_owned(),
        raft_id: manager.raft_id,
    }
}

fn endpoint(endpoint: v1::Endpoint) -> EndpointOnNode {
    EndpointOnNode {
        id: endpoint.id,
        name: endpoint.name,
        network_id: endpoint.network,
        addresses: endpoint.addresses,
        mac_address: endpoint.mac,
    }
}

impl View for NodeObject {
    fn example() -> Self {
        Self { manager_status: Some(ManagerStatus::default()), ..Self::default() }
    }
}

impl Object for NodeObject {
    fn id(&self) -> &str {
        &self.id
    }

    fn pretty(&self) -> String {
        let mut lines = Lines::default();
        lines
            .put("ID", &self.id)
            .put("Hostname", &self.description.hostname)
            .put("Joined at", &self.created_at);
        lines.put("Role", &self.spec.role).put("Version", &self.description.version);
        lines.labels(&self.spec.labels);
        lines.heading("Status");
        lines.indented(1, "State", capital(&self.status.state)).indented(1, "Message", &self.status.message);
        lines.indented(1, "Since", &self.status.since);
        lines.indented(1, "Availability", capital(&self.spec.availability));
        lines.indented(1, "Address", &self.status.addr);
        lines.indented(1, "Data path address", &self.status.data_path_addr);
        lines.indented(1, "TLS status", &self.tls_status);
        let Liveness { signs, session_manager } = &self.liveness;
        lines.heading("Liveness");
        lines.indented(1, "By gossip", capital(&signs.gossip)).indented(1, "Round trip", &signs.round_trip);
        lines.indented(1, "By session", capital(&signs.session));
        lines.indented(1, "Session with", session_manager);
        if let Some(manager) = &self.manager_status {
            lines.heading("Manager");
            lines.indented(1, "Address", &manager.addr).indented(1, "Raft member", capital(&manager.member));
            let reachability = with_trouble(&capital(&manager.reachability), &manager.trouble);
            lines.indented(1, "Reachability", reachability);
            lines.indented(1, "Leader", if manager.leader { "Yes" } else { "No" });
        }
        if !self.endpoints.is_empty() {
            lines.heading("Endpoints");
        }
        for endpoint in &self.endpoints {
            lines.indented(1, &endpoint.name, endpoint.addresses.join(", "));
        }
        lines.finish()
    }
}
