//! What goes into the log: one `Entry` per change. Knows shapes only; the rules are in `apply`.
//!
//! Everything random (ids, secrets) and the time are chosen by the proposer. Adding a command is a new variant at
//! the end of `Command`; a replica that does not know it fails to decode the entry and stops.

use crate::RotateRoot;
use crate::access::{AdmitByToken, CreateToken, CreateUser};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use swarm_model::{
    Availability, ClusterId, ClusterSettings, DnsName, ENCRYPTION_LEVEL, EndpointId, Epoch, Incarnation,
    JoinSecrets, Labels, MacAddr, ManagerInfo, NetworkId, NetworkSpec, NodeId, NodeState, NodeUpdate,
    RequestId, Revision, Role, SandboxId, SecretBytes, SessionId, SettingsChange, TokenId, UnlockSecret,
    UserId,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Chosen by whoever asks; asked again with the same one, the first reply is given again and nothing is done.
    /// Refusals are remembered too: who wants another answer asks under another id.
    pub request: Option<RequestId>,
    /// The proposer's wall clock, milliseconds since the epoch. May jump either way.
    pub now_ms: u64,
    pub command: Command,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    NoOp,
    /// First of all commands, once: the cluster, its first node and `ingress`. → `Reply::Node`.
    CreateCluster(Box<CreateCluster>),
    /// → `Done`.
    RotateJoinSecret(RotateJoinSecret),
    /// From the CA, after it has judged the token. → `Reply::Node` (on a retry the node of the first time).
    AdmitNode(AdmitNode),
    /// From the dispatcher when a session begins: the node is `Ready`. → `Reply::Node`.
    RegisterNode(RegisterNode),
    /// From the dispatcher or the leader. With `session`, nothing happens unless it is still the node's current
    /// one (refused as `SessionSuperseded`). → `Done`.
    SetNodeStatus {
        node: NodeId,
        state: NodeState,
        message: String,
        session: Option<SessionId>,
    },
    /// From the leader's membership loop: the node's place in Raft, or none. → `Done`.
    SetManager {
        node: NodeId,
        manager: Option<ManagerInfo>,
    },
    /// The node said good-bye: its endpoints are released, it is `Disconnected` for good. → `Done`.
    LeaveNode {
        node: NodeId,
    },
    /// → `Reply::Network`.
    CreateNetwork(CreateNetwork),
    /// → `Reply::Removed`.
    RemoveNetwork {
        network: NetworkId,
    },
    /// Removes every network that nothing uses. → `Reply::Pruned`.
    PruneNetworks,
    /// → `Reply::Endpoints`.
    CreateEndpoints(CreateEndpoints),
    /// Ids that do not exist (any more) are passed over; one of another node refuses the whole.
    /// At most `MAX_RELEASES_PER_COMMAND`. → `Reply::Released`.
    ReleaseEndpoints {
        node: NodeId,
        endpoints: Vec<EndpointId>,
    },
    /// From an operator: role, availability, labels. → `Reply::Node`.
    UpdateNode(UpdateNode),
    /// The node and what it holds go for good; its certificate is worth nothing from then on. → `Done`.
    RemoveNode {
        node: NodeId,
        /// Also a node that is not down.
        force: bool,
    },
    /// After the managers were lost, or from a backup: one manager is left. → `Reply::Node`.
    ReplaceManagers(Box<ReplaceManagers>),
    /// From the leader, once every manager knows the level, also one that does not vote yet. → `Done`.
    SetFeatureLevel {
        level: u32,
        #[serde(default)]
        settled: Option<Settled>,
    },
    /// From an operator: whether the managers' files are locked, and with what. → `Done`.
    SetLock(SetLock),
    /// From an operator. → `Done`.
    UpdateSettings(SettingsChange),
    /// From an operator: a new root CA begins to take the place of the old one. → `Done`.
    RotateRoot(Box<RotateRoot>),
    /// From the dispatcher: the node trusts the new root and uses a certificate of it. → `Done`.
    NoteRenewed {
        node: NodeId,
        rotation: u64,
    },
    /// From the leader, once every node has renewed: the old root goes. → `Done`.
    FinishRotation {
        rotation: u64,
    },
    /// From an operator. → `Reply::Token`.
    CreateToken(CreateToken),
    /// It admits nobody from then on. → `Done`.
    RevokeToken {
        token: TokenId,
    },
    /// As `AdmitNode`, for a token that was made by `CreateToken` and is judged here. → `Reply::Node`.
    AdmitByToken(AdmitByToken),
    /// → `Reply::User`.
    CreateUser(CreateUser),
    /// Its certificate is worth nothing from then on. → `Done`.
    RemoveUser {
        user: UserId,
    },
    /// From the leader: another generation of the cluster's secrets. → `Done`.
    TurnRing(TurnRing),
    /// From the dispatcher: what the node's keys of encrypted networks are made with from here on. → `Done`.
    NoteIncarnation(NoteIncarnation),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteIncarnation {
    pub node: NodeId,
    /// By which it was told: one that came after it knows better.
    pub session: SessionId,
    pub incarnation: Incarnation,
}

/// The next generation, drawn by the proposer. Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnRing {
    /// The newest one that the proposer knows.
    pub after: u64,
    pub gossip: SecretBytes,
    pub pairs: SecretBytes,
}

/// The keys are chosen by the proposer. Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetLock {
    Off,
    /// With this key, unless there is one already.
    On(UnlockSecret),
    /// With this key instead of the one there is.
    Rotate(UnlockSecret),
}

/// What managers that were older until now have dropped from their copies of the state, as the leader knows it. With the
/// level it becomes everybody's: from there on nothing is decided by what only some of them have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub epoch: Epoch,
    /// The feature level of each node; one not named here has to say it again.
    pub features: BTreeMap<NodeId, u32>,
    #[serde(default)]
    pub past: Vec<Epoch>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateCluster {
    pub cluster: ClusterId,
    pub settings: ClusterSettings,
    pub join_secrets: JoinSecrets,
    /// PEM.
    pub root_ca_cert: String,
    /// PEM (PKCS#8). Secret.
    pub root_ca_key: String,
    pub first: AdmitNode,
    pub manager: ManagerInfo,
    /// The id `ingress` gets.
    pub ingress: NetworkId,
    /// Routes of the first host that `ingress` must keep clear of.
    #[serde(default)]
    pub avoid: Vec<IpNet>,
    /// The level the cluster begins at: that of its first manager.
    #[serde(default = "first_level")]
    pub feature_level: u32,
}

fn first_level() -> u32 {
    1
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateJoinSecret {
    pub role: Role,
    /// 25 characters of base 36. Secret.
    pub secret: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitNode {
    pub node: NodeId,
    pub hostname: String,
    pub role: Role,
    pub availability: Availability,
    #[serde(default)]
    pub labels: Labels,
    pub addr: IpAddr,
    pub data_path_addr: IpAddr,
    pub version: String,
    /// The highest feature level its `swarmd` knows; 0 from one too old to say.
    #[serde(default)]
    pub features: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterNode {
    pub node: NodeId,
    pub session: SessionId,
    /// The manager that holds the session.
    pub manager: NodeId,
    pub hostname: String,
    pub addr: IpAddr,
    pub data_path_addr: IpAddr,
    pub version: String,
    /// The highest feature level its `swarmd` knows; 0 from one too old to say.
    #[serde(default)]
    pub features: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateNetwork {
    pub id: NetworkId,
    pub spec: NetworkSpec,
    /// The proposer's own routes (without default routes): a subnet given by the user must not overlap them, one
    /// taken from the pools keeps clear of them.
    #[serde(default)]
    pub avoid: Vec<IpNet>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateNode {
    pub node: NodeId,
    pub update: NodeUpdate,
    /// Refused unless the node's `revision` is this one: nobody changed it since the caller looked.
    pub if_revision: Option<Revision>,
}

/// The one manager a cluster goes on with. Everybody else who was a manager becomes a worker that is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceManagers {
    /// A node on record, which is changed to this, or a new one.
    pub survivor: AdmitNode,
    pub manager: ManagerInfo,
    /// What tells the new epoch from that of another survivor who goes on alone: drawn at random by whoever proposes this, not 0.
    /// 0 from one too old to draw.
    #[serde(default)]
    pub drawn: u32,
}

/// All or none of the endpoints of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateEndpoints {
    pub node: NodeId,
    /// At most `MAX_ENDPOINTS_PER_COMMAND`.
    pub endpoints: Vec<NewEndpoint>,
}

/// Idempotent by `id`: one that exists as asked for is answered as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEndpoint {
    pub id: EndpointId,
    pub network: NetworkId,
    pub sandbox: SandboxId,
    pub name: DnsName,
    #[serde(default)]
    pub aliases: Vec<DnsName>,
    /// `None`: any free one. Its family only; the other family's is allocated.
    pub ip: Option<IpAddr>,
    /// `None`: derived from the address.
    pub mac: Option<MacAddr>,
}

/// A command's name without its content: for logs, and to tell that a request id was used for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    NoOp,
    CreateCluster,
    RotateJoinSecret,
    AdmitNode,
    RegisterNode,
    SetNodeStatus,
    SetManager,
    LeaveNode,
    CreateNetwork,
    RemoveNetwork,
    PruneNetworks,
    CreateEndpoints,
    ReleaseEndpoints,
    UpdateNode,
    RemoveNode,
    ReplaceManagers,
    SetFeatureLevel,
    SetLock,
    UpdateSettings,
    RotateRoot,
    NoteRenewed,
    FinishRotation,
    CreateToken,
    RevokeToken,
    AdmitByToken,
    CreateUser,
    RemoveUser,
    TurnRing,
    NoteIncarnation,
}

impl Command {
    /// The feature level the cluster must have before this may be proposed: whoever is below cannot read it.
    pub fn level(&self) -> u32 {
        match self {
            // A node of a level below would build it in clear.
            Self::CreateNetwork(create) if create.spec.encrypted => ENCRYPTION_LEVEL,
            Self::NoOp
            | Self::CreateCluster(_)
            | Self::RotateJoinSecret(_)
            | Self::AdmitNode(_)
            | Self::RegisterNode(_)
            | Self::SetNodeStatus { .. }
            | Self::SetManager { .. }
            | Self::LeaveNode { .. }
            | Self::CreateNetwork(_)
            | Self::RemoveNetwork { .. }
            | Self::PruneNetworks
            | Self::CreateEndpoints(_)
            | Self::ReleaseEndpoints { .. } => 1,
            // The one comes when nobody else is left, the other when all have said that they know it.
            Self::ReplaceManagers(_) | Self::SetFeatureLevel { .. } => 1,
            Self::UpdateNode(_) | Self::RemoveNode { .. } => 2,
            Self::SetLock(_) => 3,
            // A manager of level 3 would lose this part of it.
            Self::UpdateSettings(change) if change.is_new() => 4,
            Self::UpdateSettings(_)
            | Self::RotateRoot(_)
            | Self::NoteRenewed { .. }
            | Self::FinishRotation { .. } => 3,
            Self::CreateToken(_)
            | Self::RevokeToken { .. }
            | Self::AdmitByToken(_)
            | Self::CreateUser(_)
            | Self::RemoveUser { .. } => 3,
            Self::TurnRing(_) | Self::NoteIncarnation(_) => 4,
        }
    }

    /// The feature level of the first `swarmd` that can read this.
    pub fn since(&self) -> u32 {
        match self {
            Self::ReplaceManagers(_) | Self::SetFeatureLevel { .. } => 2,
            other => other.level(),
        }
    }

    pub fn verb(&self) -> Verb {
        match self {
            Self::NoOp => Verb::NoOp,
            Self::CreateCluster(_) => Verb::CreateCluster,
            Self::RotateJoinSecret(_) => Verb::RotateJoinSecret,
            Self::AdmitNode(_) => Verb::AdmitNode,
            Self::RegisterNode(_) => Verb::RegisterNode,
            Self::SetNodeStatus { .. } => Verb::SetNodeStatus,
            Self::SetManager { .. } => Verb::SetManager,
            Self::LeaveNode { .. } => Verb::LeaveNode,
            Self::CreateNetwork(_) => Verb::CreateNetwork,
            Self::RemoveNetwork { .. } => Verb::RemoveNetwork,
            Self::PruneNetworks => Verb::PruneNetworks,
            Self::CreateEndpoints(_) => Verb::CreateEndpoints,
            Self::ReleaseEndpoints { .. } => Verb::ReleaseEndpoints,
            Self::UpdateNode(_) => Verb::UpdateNode,
            Self::RemoveNode { .. } => Verb::RemoveNode,
            Self::ReplaceManagers(_) => Verb::ReplaceManagers,
            Self::SetFeatureLevel { .. } => Verb::SetFeatureLevel,
            Self::SetLock(_) => Verb::SetLock,
            Self::UpdateSettings(_) => Verb::UpdateSettings,
            Self::RotateRoot(_) => Verb::RotateRoot,
            Self::NoteRenewed { .. } => Verb::NoteRenewed,
            Self::FinishRotation { .. } => Verb::FinishRotation,
            Self::CreateToken(_) => Verb::CreateToken,
            Self::RevokeToken { .. } => Verb::RevokeToken,
            Self::AdmitByToken(_) => Verb::AdmitByToken,
            Self::CreateUser(_) => Verb::CreateUser,
            Self::RemoveUser { .. } => Verb::RemoveUser,
            Self::TurnRing(_) => Verb::TurnRing,
            Self::NoteIncarnation(_) => Verb::NoteIncarnation,
        }
    }
}

// The two commands that carry secrets print without them.
impl fmt::Debug for CreateCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateCluster")
            .field("cluster", &self.cluster)
            .field("settings", &self.settings)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}
impl fmt::Debug for RotateJoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotateJoinSecret").field("role", &self.role).finish_non_exhaustive()
    }
}
