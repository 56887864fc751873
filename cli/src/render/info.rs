//! `info` as printed: this node, and the cluster as it sees it. Names as in Docker's `info` under `Swarm`.

use super::pretty::Lines;
use super::time::{duration, rfc3339};
use super::words::{self, capital};
use super::{Object, View};
use serde::Serialize;
use swarm_proto::v1;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InfoObject {
    /// inactive, pending, active, error or locked.
    local_node_state: String,
    #[serde(rename = "NodeID")]
    node_id: String,
    hostname: String,
    version: String,
    role: String,
    availability: String,
    node_addr: String,
    listen_addr: String,
    data_path_addr: String,
    data_path_port: u32,
    /// This node is a manager.
    control_available: bool,
    #[serde(rename = "ClusterID")]
    cluster_id: String,
    remote_managers: Vec<ManagerAt>,
    /// The manager that holds this node's session; empty: none now.
    session_manager: String,
    /// Why there is no session; empty while there is one.
    session_error: String,
    revision: u64,
    sandboxes: u32,
    /// Kernel objects put back since the daemon started.
    repairs: u64,
    state_dir: String,
    /// While pending: why the last attempt to join failed.
    error: String,
    /// Empty when the kernel matches.
    reconcile_error: String,
    /// What an operator should know of this node: a certificate that is not renewed, a clock that is off.
    warnings: Vec<String>,
    certificate_expires_at: String,
    /// Node ids: what this node thinks of others, by asking them.
    gossip_suspects: Vec<String>,
    gossip_down: Vec<String>,
    /// What came from strangers, was forged or came twice.
    gossip_dropped: u64,
    /// To the nodes that this one shares encrypted networks with.
    encryption: Vec<EncryptedTo>,
    /// On managers that can say.
    cluster: Option<ClusterView>,
    /// On managers that cannot.
    cluster_error: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptedTo {
    #[serde(rename = "NodeID")]
    node_id: String,
    hostname: String,
    /// verified, moving, pending or refused.
    state: String,
    reason: String,
    /// Of the cluster's secrets.
    generation: u64,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ManagerAt {
    #[serde(rename = "NodeID")]
    node_id: String,
    addr: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClusterView {
    #[serde(rename = "ID")]
    id: String,
    created_at: String,
    nodes: u32,
    networks: u32,
    endpoints: u32,
    managers: u32,
    reachable_managers: u32,
    /// How many more managers may be lost.
    survives: u32,
    /// Node id; empty: none.
    leader: String,
    /// What the managers cannot bear to lose, and what mends it.
    warnings: Vec<String>,
    raft_term: u64,
    raft_applied: u64,
    default_addr_pool: Vec<String>,
    subnet_size: u32,
    data_path_port: u32,
    cert_expiry: String,
    dispatcher_heartbeat: String,
    snapshot_interval: u64,
    max_snapshots: u32,
    /// Of the secrets of encrypted networks and of gossip; empty from a manager too old to say.
    key_rotation: String,
    /// The managers' files are locked.
    autolock: bool,
    /// How long after its end a certificate still gets its node a new one; empty from a manager too old to say.
    cert_grace: String,
    root_rotation_in_progress: bool,
    root_rotation: Option<RotationView>,
}

/// The replacement of the root CA, while it lasts.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RotationView {
    started_at: String,
    nodes: u32,
    renewed: u32,
    /// Nodes that are here and have no certificate of the new root yet.
    waiting: Vec<String>,
    /// Nodes that are not here.
    away: Vec<String>,
    /// The same for people.
    #[serde(skip)]
    sentence: String,
}

impl InfoObject {
    /// Asked of a manager from outside, which is no node of the one who asks.
    pub fn of_cluster(cluster: v1::GetClusterResponse) -> Self {
        let cluster = cluster_view(cluster);
        Self { cluster_id: cluster.id.clone(), cluster: Some(cluster), ..Self::default() }
    }

    /// `cluster` is what the manager's side said; `None` where there is none.
    pub fn new(info: v1::InfoResponse, cluster: Option<Result<v1::GetClusterResponse, String>>) -> Self {
        let member = !info.node.is_empty();
        let word = |word: &str| if member { word.to_owned() } else { String::new() };
        let (cluster, cluster_error) = match cluster {
            Some(Ok(answer)) => (Some(cluster_view(answer)), String::new()),
            Some(Err(said)) => (None, said),
            None => (None, String::new()),
        };
        Self {
            local_node_state: words::membership(info.state).to_owned(),
            role: word(words::role(info.role)),
            availability: match info.availability {
                0 => String::new(),
                known => word(words::availability(known)),
            },
            control_available: is_manager(info.state, info.role),
            node_id: info.node,
            hostname: info.hostname,
            version: info.version,
            node_addr: info.node_addr,
            listen_addr: info.listen_addr,
            data_path_addr: info.data_path_addr,
            data_path_port: info.data_path_port,
            cluster_id: info.cluster,
            remote_managers: info
                .managers
                .into_iter()
                .map(|m| ManagerAt { node_id: m.node, addr: m.addr })
                .collect(),
            session_manager: info.session_manager,
            session_error: info.session_error,
            revision: info.revision,
            sandboxes: info.sandboxes,
            repairs: info.repairs,
            state_dir: info.state_dir,
            error: info.join_error,
            reconcile_error: info.last_error,
            warnings: info.warnings,
            certificate_expires_at: rfc3339(info.cert_until_ms),
            gossip_suspects: info.gossip_suspects,
            gossip_down: info.gossip_down,
            gossip_dropped: info.gossip_dropped,
            encryption: info.tunnels.into_iter().map(encrypted_to).collect(),
            cluster,
            cluster_error,
        }
    }
}

fn encrypted_to(tunnel: v1::Tunnel) -> EncryptedTo {
    let v1::Tunnel { node, hostname, state, reason, generation } = tunnel;
    EncryptedTo { node_id: node, hostname, state, reason, generation }
}

/// Whether the node answers for the cluster.
pub fn is_manager(state: i32, role: i32) -> bool {
    state == i32::from(v1::MembershipState::Active) && role == i32::from(v1::Role::Manager)
}

fn cluster_view(answer: v1::GetClusterResponse) -> ClusterView {
    let cluster = answer.cluster.unwrap_or_default();
    let settings = cluster.settings.unwrap_or_default();
    let quorum = answer.quorum.unwrap_or_default();
    ClusterView {
        id: cluster.id,
        created_at: rfc3339(cluster.created_ms),
        nodes: answer.nodes,
        networks: answer.networks,
        endpoints: answer.endpoints,
        managers: quorum.managers,
        reachable_managers: quorum.reachable,
        survives: quorum.survives,
        leader: quorum.leader,
        warnings: answer.warnings,
        raft_term: quorum.term,
        raft_applied: quorum.applied,
        default_addr_pool: settings.default_addr_pools,
        subnet_size: settings.subnet_prefix,
        data_path_port: settings.data_path_port,
        cert_expiry: duration(settings.cert_expiry_ms),
        dispatcher_heartbeat: duration(settings.heartbeat_ms),
        snapshot_interval: settings.snapshot_interval,
        max_snapshots: settings.max_snapshots,
        key_rotation: settings.key_rotation_ms.map(duration).unwrap_or_default(),
        autolock: settings.autolock,
        cert_grace: settings.cert_grace_ms.map(duration).unwrap_or_default(),
        root_rotation_in_progress: answer.rotation.is_some(),
        root_rotation: answer.rotation.map(rotation_view),
    }
}

fn rotation_view(rotation: v1::RootRotation) -> RotationView {
    RotationView {
        sentence: words::rotation(&rotation),
        started_at: rfc3339(rotation.started_ms),
        nodes: rotation.nodes,
        renewed: rotation.renewed,
        waiting: rotation.waiting,
        away: rotation.away,
    }
}

impl View for InfoObject {
    fn example() -> Self {
        let root_rotation = Some(RotationView::default());
        let cluster = Some(ClusterView { root_rotation, ..ClusterView::default() });
        Self { cluster, encryption: vec![EncryptedTo::default()], ..Self::default() }
    }
}

impl Object for InfoObject {
    fn id(&self) -> &str {
        &self.node_id
    }

    fn pretty(&self) -> String {
        let mut lines = Lines::default();
        self.node_lines(&mut lines);
        if let Some(cluster) = &self.cluster {
            cluster.lines(&mut lines);
        }
        if !self.cluster_error.is_empty() {
            lines.put("Cluster", format!("not known: {}", self.cluster_error));
        }
        lines.put("Version", &self.version).put("State directory", &self.state_dir);
        lines.finish()
    }
}

impl InfoObject {
    fn certificate(&self) -> String {
        match self.certificate_expires_at.as_str() {
            "" => String::new(),
            at => format!("valid until {at}"),
        }
    }

    fn node_lines(&self, lines: &mut Lines) {
        lines.put("Swarm", &self.local_node_state).put("Error", &self.error);
        lines.put("Hostname", &self.hostname);
        if self.node_id.is_empty() {
            lines.put("Cluster ID", &self.cluster_id);
            return;
        }
        lines.put("Node ID", &self.node_id).put("Cluster ID", &self.cluster_id);
        lines.put("Role", capital(&self.role)).put("Availability", capital(&self.availability));
        lines.put("Node address", &self.node_addr).put("Listen address", &self.listen_addr);
        lines.put("Data path address", &self.data_path_addr).put("Data path port", self.data_path_port);
        let managers: Vec<_> = self.remote_managers.iter().map(|manager| manager.addr.as_str()).collect();
        lines.put("Manager addresses", managers.join(", "));
        let session = match self.session_manager.as_str() {
            "" if self.local_node_state == "locked" => "none until it is unlocked".to_owned(),
            "" if self.session_error.is_empty() => "none: no manager answers now".to_owned(),
            "" => format!("none: {}", self.session_error),
            manager => format!("with manager {manager}, at revision {}", self.revision),
        };
        lines.put("Session", session);
        lines.put("Sandboxes", self.sandboxes).put("Repairs", self.repairs);
        lines.put("Certificate", self.certificate());
        lines.put("Suspects", self.gossip_suspects.join(", ")).put("Not alive", self.gossip_down.join(", "));
        for to in &self.encryption {
            let name = if to.hostname.is_empty() { &to.node_id } else { &to.hostname };
            lines.put("Encryption", format!("{name}: {}", words::encryption(&to.state, &to.reason)));
        }
        lines.put("Reconcile error", &self.reconcile_error);
        for warning in &self.warnings {
            lines.put("Warning", warning);
        }
    }
}

impl ClusterView {
    fn lines(&self, lines: &mut Lines) {
        lines.heading("Cluster");
        let leader = if self.leader.is_empty() { "none" } else { &self.leader };
        lines.indented(1, "Managers", format!("{} ({} reachable)", self.managers, self.reachable_managers));
        lines.indented(1, "Survives", self.losses());
        for warning in &self.warnings {
            lines.indented(1, "Warning", warning);
        }
        lines.indented(1, "Leader", leader);
        let applied = match self.raft_applied {
            0 => "how much is applied is not known yet".to_owned(),
            applied => format!("applied {applied}"),
        };
        lines.indented(1, "Raft", format!("term {}, {applied}", self.raft_term));
        lines.indented(1, "Nodes", self.nodes).indented(1, "Networks", self.networks);
        lines.indented(1, "Endpoints", self.endpoints).indented(1, "Created at", &self.created_at);
        let pools = self.default_addr_pool.join(", ");
        lines.indented(1, "Address pools", format!("{pools} in subnets of /{}", self.subnet_size));
        let grace = match self.cert_grace.as_str() {
            "" => String::new(),
            grace => format!(", renewable {grace} after that"),
        };
        lines.indented(1, "Certificates", format!("valid {}{grace}", self.cert_expiry));
        if let Some(rotation) = &self.root_rotation {
            lines.indented(1, "Root rotation", &rotation.sentence);
        }
        lines.indented(1, "Autolock", if self.autolock { "on" } else { "off" });
        lines.indented(1, "Heartbeat", &self.dispatcher_heartbeat);
        if !self.key_rotation.is_empty() {
            lines.indented(1, "Key rotation", format!("every {}", self.key_rotation));
        }
        let kept = match self.max_snapshots {
            0 => String::new(),
            kept => format!(", {kept} old ones kept"),
        };
        lines.indented(1, "Snapshots", format!("every {} entries{kept}", self.snapshot_interval));
    }

    fn losses(&self) -> String {
        let majority = self.managers / 2 + 1;
        match (self.reachable_managers >= majority, self.survives) {
            (false, _) => "quorum is lost: nothing can be changed until a majority is back".to_owned(),
            (true, 0) => "the loss of no manager".to_owned(),
            (true, 1) => "the loss of 1 more manager".to_owned(),
            (true, n) => format!("the loss of {n} more managers"),
        }
    }
}
