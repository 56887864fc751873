//! Why a command or a reference was refused: what was wrong, what was expected, what to do next.
//! Knows sentences and kinds; must not know gRPC codes or exit codes.

use crate::Verb;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use swarm_model::{
    Availability, DnsName, Driver, EndpointId, MacAddr, NetworkId, NodeId, NodeState, Revision, TokenId,
    UserId, Vni,
};

/// What a caller can do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// The thing referred to does not exist.
    NotFound,
    /// The reference fits several things.
    Ambiguous,
    /// Something like it exists already.
    AlreadyExists,
    /// The request makes no sense, whatever the state of the cluster.
    Invalid,
    /// The cluster is not in a state for it.
    Precondition,
    /// A pool or a limit is used up.
    Exhausted,
    /// Not allowed.
    Denied,
}

/// An endpoint that keeps a network in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub endpoint: DnsName,
    /// Host name of its node.
    pub host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error("there is no cluster yet: the first command creates it")]
    NoCluster,
    #[error("this cluster exists already")]
    ClusterExists,
    #[error("entry {index} was applied before (the state is at {applied})")]
    AlreadyApplied { index: Revision, applied: Revision },
    #[error(
        "the request id was used before, for {first:?}, and cannot be used for {now:?}: choose a new one"
    )]
    RequestReused { first: Verb, now: Verb },
    /// The sentence of a spec, settings or labels error.
    #[error("{0}")]
    Invalid(String),
    #[error("{what} is too long: {bytes} bytes where at most {limit} are allowed")]
    TooLong { what: String, bytes: usize, limit: usize },
    #[error("the cluster has no room for more {what}: the limit is {limit}")]
    Limit { what: String, limit: usize },
    #[error("one request may name at most {limit} {what}: split it")]
    TooMany { what: String, limit: usize },

    #[error("node {0} not found")]
    NodeNotFound(String),
    #[error("network {0} not found")]
    NetworkNotFound(String),
    #[error("endpoint {0} not found")]
    EndpointNotFound(String),
    #[error("{what} {reference} is ambiguous ({matches} matches): use the full id")]
    Ambiguous { what: String, reference: String, matches: usize },

    #[error("node {reference} is ambiguous ({matches} matches): use an id: {}", each(some))]
    AmbiguousNode { reference: String, matches: usize, some: Vec<(NodeId, NodeState)> },

    #[error("node {0} exists already")]
    NodeExists(NodeId),
    #[error("node {0} has left the cluster: join it again to get a new identity")]
    NodeLeft(NodeId),
    #[error("node {node} is {from} and cannot become {to}")]
    NodeTransition { node: NodeId, from: NodeState, to: NodeState },
    #[error("node {0} has a newer session")]
    SessionSuperseded(NodeId),
    #[error("node {0} is a worker: only a manager has a place among the managers")]
    NotAManager(NodeId),
    #[error("Raft member {raft_id} is node {node}: a member id is never used twice")]
    RaftIdTaken { raft_id: u64, node: NodeId },
    #[error(
        "node {0} is the last manager: demoting it would leave nobody to decide; promote another node first"
    )]
    LastManager(String),
    #[error(
        "without {host} {ready} of the {left} managers left would be ready, and {needed} are needed: {}",
        WayOut(.away)
    )]
    QuorumAtRisk { host: String, left: usize, ready: usize, needed: usize, away: Vec<String> },
    #[error(
        "node {0} is not down and can't be removed: stop its swarmd first, let it `leave`, or use --force"
    )]
    NodeNotDown(String),
    #[error("node {0} is a manager and must be demoted before it is removed: `swarmctl node demote {0}`")]
    NodeIsManager(String),
    #[error(
        "node {host} was changed meanwhile (revision {found}, not {expected}): look again before you change it"
    )]
    NodeChanged { host: String, expected: Revision, found: Revision },
    #[error("node {host} has no label {label}")]
    LabelNotFound { host: String, label: String },
    #[error(
        "the swarmd of node {host} is too old to be a manager here (feature level {features}, the cluster uses {needed}): upgrade it first"
    )]
    TooOld { host: String, features: u32, needed: u32 },
    #[error(
        "the managers are not locked: `swarmctl update --autolock=true` locks them and makes an unlock key"
    )]
    NoLock,
    #[error("node {host} takes no new endpoints: its availability is {availability}")]
    NodeUnavailable { host: String, availability: Availability },

    #[error("network id {0} exists already")]
    NetworkExists(NetworkId),
    #[error("network with name {name} already exists ({id}): choose another name")]
    NetworkNameTaken { name: DnsName, id: NetworkId },
    #[error("{0} is a predefined network: every host has its own; choose another name")]
    NetworkNameReserved(DnsName),
    #[error("driver {0} makes networks of one host only: use overlay for a network of the cluster")]
    DriverNotOfCluster(Driver),
    #[error("VNI {vni} is used by network {network}: choose another one, or none to have one allocated")]
    VniTaken { vni: Vni, network: String },
    #[error("no VNI is free: remove networks that are not used")]
    VnisExhausted,
    #[error("subnet {subnet} overlaps {other} of network {network}: choose another one")]
    SubnetOverlap { subnet: IpNet, other: IpNet, network: String },
    #[error("subnet {subnet} overlaps {route}, a route of this host: choose another one")]
    SubnetOverlapsRoute { subnet: IpNet, route: IpNet },
    #[error(
        "no free subnet of length /{prefix} is left in the default address pools ({}): remove networks that are not used, or give --subnet",
        Listed(.pools)
    )]
    SubnetsExhausted { prefix: u8, pools: Vec<IpNet> },
    #[error(
        "every free subnet of length /{prefix} in the default address pools ({}) overlaps a route of this host: give --subnet",
        Listed(.pools)
    )]
    SubnetsAllRouted { prefix: u8, pools: Vec<IpNet> },
    #[error("no address is left for a gateway in subnet {0}: give --gateway or fewer --aux-address")]
    NoGateway(IpNet),
    #[error("network {0} belongs to the cluster and cannot be removed")]
    NetworkPredefined(DnsName),
    #[error("network {network} is in use by {}: release these first", Users(.users, *.more))]
    NetworkInUse { network: DnsName, users: Vec<User>, more: usize },

    #[error("network {0} is not manually attachable: attach to one that was created with --attachable")]
    NotAttachable(DnsName),
    #[error("endpoint id {0} is used by another endpoint")]
    EndpointIdTaken(EndpointId),
    #[error("endpoint {endpoint} is on another node")]
    EndpointElsewhere { endpoint: EndpointId },
    #[error("name {name} is used on network {network} by an endpoint on host {host}: choose another name")]
    EndpointNameTaken { name: DnsName, network: DnsName, host: String },
    #[error("network {network} has {limit} endpoints on host {host} and cannot have more there")]
    HostFull { network: DnsName, host: String, limit: usize },
    #[error("MAC address {0} cannot be an endpoint's: it must be unicast and not all zero")]
    MacUnusable(MacAddr),
    #[error("MAC address {mac} is used on network {network} by endpoint {user}: give another --mac")]
    MacTaken { mac: MacAddr, network: DnsName, user: DnsName },
    #[error("address {ip} is not in network {network} ({}): choose one inside it", Listed(.subnets))]
    AddressOutside { ip: IpAddr, network: DnsName, subnets: Vec<IpNet> },
    #[error(
        "address {ip} of network {network} is reserved (gateway, auxiliary, network or broadcast address): choose another one"
    )]
    AddressReserved { ip: IpAddr, network: DnsName },
    #[error("address {ip} of network {network} is used by endpoint {user} on host {host}")]
    AddressTaken { ip: IpAddr, network: DnsName, user: DnsName, host: String },
    #[error("no free address is left in network {network} ({})", Listed(.subnets))]
    AddressesExhausted { network: DnsName, subnets: Vec<IpNet> },
    #[error(
        "no free address is left in network {network}: {resting} released ones still rest, the first for {wait_ms} ms; try again then, or ask for one by --ip"
    )]
    AddressesResting { network: DnsName, resting: usize, wait_ms: u64 },

    #[error("the root CA was replaced meanwhile: look at it with `swarmctl ca`, then try again")]
    RootReplaced,
    #[error("this is the root CA that the cluster has already: give another one")]
    SameRoot,
    #[error("this rotation of the root CA is over, or another one took its place")]
    RotationOver,
    #[error("the cluster's secrets were renewed meanwhile: generation {newest} is the newest")]
    RingTurned { newest: u64 },
    #[error("the old root CA is still needed: {} have no certificate of the new one yet", .0.join(", "))]
    NotRenewed(Vec<String>),
    #[error(
        "network {network} is encrypted, and the swarmd on {host} is too old to encrypt (feature level {features}, needed {}): upgrade it first",
        swarm_model::ENCRYPTION_LEVEL
    )]
    NoEncryption { network: DnsName, host: String, features: u32 },
    #[error("join token {0} not found")]
    TokenNotFound(String),
    #[error("join token {0} exists already")]
    TokenExists(TokenId),
    #[error(
        "the join token is used up: it was made for {} and has admitted as many; get another one by `swarmctl join-token create`",
        nodes(*.uses)
    )]
    TokenUsedUp { uses: u32 },
    #[error(
        "the join token has expired, {} ago by the managers' clock; get another one by `swarmctl join-token create`",
        ago(*.since_ms)
    )]
    TokenExpired { since_ms: u64 },
    #[error("the join token was revoked; get another one by `swarmctl join-token create`")]
    TokenRevoked,
    #[error("user {0} not found")]
    UserNotFound(String),
    #[error("user id {0} exists already")]
    UserExists(UserId),
    #[error("user {0} exists already: remove it first (`swarmctl user rm {0}`), or choose another name")]
    UserNameTaken(String),
    #[error(
        "the join token is from before the root CA was replaced; get another one by `swarmctl join-token create`"
    )]
    TokenOfOldRoot,
}

fn nodes(number: u32) -> String {
    if number == 1 { "1 node".into() } else { format!("{number} nodes") }
}

fn ago(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// `x (ready), y (disconnected: gone for good, `swarmctl node rm y` takes it off the list)`.
fn each(nodes: &[(NodeId, NodeState)]) -> String {
    let said = nodes.iter().map(|(id, state)| match state {
        NodeState::Disconnected => {
            format!("{id} ({state}: gone for good, `swarmctl node rm {id}` takes it off the list)")
        }
        _ => format!("{id} ({state})"),
    });
    said.collect::<Vec<_>>().join(", ")
}

impl Refusal {
    pub fn kind(&self) -> RefusalKind {
        use RefusalKind as Kind;
        match self {
            Self::NodeNotFound(_)
            | Self::NetworkNotFound(_)
            | Self::EndpointNotFound(_)
            | Self::LabelNotFound { .. }
            | Self::TokenNotFound(_)
            | Self::UserNotFound(_) => Kind::NotFound,
            Self::Ambiguous { .. } | Self::AmbiguousNode { .. } => Kind::Ambiguous,
            Self::ClusterExists
            | Self::NodeExists(_)
            | Self::RaftIdTaken { .. }
            | Self::NetworkExists(_)
            | Self::NetworkNameTaken { .. }
            | Self::NetworkNameReserved(_)
            | Self::VniTaken { .. }
            | Self::EndpointIdTaken(_)
            | Self::EndpointNameTaken { .. }
            | Self::MacTaken { .. }
            | Self::SameRoot
            | Self::AddressTaken { .. }
            | Self::TokenExists(_)
            | Self::UserExists(_)
            | Self::UserNameTaken(_) => Kind::AlreadyExists,
            Self::RequestReused { .. }
            | Self::Invalid(_)
            | Self::TooLong { .. }
            | Self::TooMany { .. }
            | Self::DriverNotOfCluster(_)
            | Self::NoGateway(_)
            | Self::MacUnusable(_)
            | Self::AddressOutside { .. }
            | Self::AddressReserved { .. } => Kind::Invalid,
            Self::NoCluster
            | Self::AlreadyApplied { .. }
            | Self::NodeLeft(_)
            | Self::NodeTransition { .. }
            | Self::SessionSuperseded(_)
            | Self::NotAManager(_)
            | Self::NoLock
            | Self::LastManager(_)
            | Self::QuorumAtRisk { .. }
            | Self::NodeNotDown(_)
            | Self::NodeIsManager(_)
            | Self::NodeChanged { .. }
            | Self::TooOld { .. }
            | Self::RootReplaced
            | Self::RotationOver
            | Self::RingTurned { .. }
            | Self::NoEncryption { .. }
            | Self::NotRenewed(_)
            | Self::NodeUnavailable { .. }
            | Self::SubnetOverlap { .. }
            | Self::SubnetOverlapsRoute { .. }
            | Self::NetworkInUse { .. }
            | Self::NetworkPredefined(_) => Kind::Precondition,
            Self::Limit { .. }
            | Self::VnisExhausted
            | Self::SubnetsExhausted { .. }
            | Self::SubnetsAllRouted { .. }
            | Self::HostFull { .. }
            | Self::AddressesExhausted { .. }
            | Self::AddressesResting { .. } => Kind::Exhausted,
            Self::NotAttachable(_)
            | Self::EndpointElsewhere { .. }
            | Self::TokenUsedUp { .. }
            | Self::TokenExpired { .. }
            | Self::TokenRevoked
            | Self::TokenOfOldRoot => Kind::Denied,
        }
    }
}

/// `10.0.0.0/8, 172.30.0.0/16`
struct Listed<'a>(&'a [IpNet]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, net) in self.0.iter().enumerate() {
            write!(f, "{}{net}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What to do about managers that are away.
struct WayOut<'a>(&'a [String]);

impl fmt::Display for WayOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("promote another node first"),
            away => write!(f, "bring back or demote {} first", away.join(", ")),
        }
    }
}

/// `endpoint web on host h1, endpoint db on host h2 and 3 more`
struct Users<'a>(&'a [User], usize);

impl fmt::Display for Users<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, User { endpoint, host }) in self.0.iter().enumerate() {
            write!(f, "{}endpoint {endpoint} on host {host}", if i == 0 { "" } else { ", " })?;
        }
        match self.1 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
