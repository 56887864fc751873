//! The words everybody shares: ids, names, addresses, specs, objects and assignments.
//!
//! Knows: shapes and their own validity (a name is a DNS label, a CIDR has no host bits).
//! Must not know: sockets, clocks, threads, randomness. It is `no_std`, so they cannot compile here.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]
#![no_std]

extern crate alloc;

mod access;
mod address;
mod assignment;
mod ca;
mod cluster;
mod endpoint;
mod epoch;
mod esp;
mod id;
mod lock;
mod name;
mod network;
mod node;
mod options;
mod secrets;
mod settings_change;
mod time;
mod wipe;

pub use access::{IssuedToken, MAX_USER_NAME_BYTES, TokenFault, TokenUse, User, UserRole, is_user_name};
pub use address::{MacAddr, ParseMacError, mac_for_ip};
pub use assignment::{
    Assigned, Assignment, ChainError, Change, DriverDefaults, GOSSIP_PORT, MOST_DOUBTS, ManagerPeer, Member,
    Peer, Revision,
};
pub use ca::{Issuer, RootRotation};
pub use cluster::{Cluster, ClusterSettings, ENCRYPTION_LEVEL, FEATURE_LEVEL, JoinSecrets, SettingsError};
pub use endpoint::Endpoint;
pub use epoch::{Epoch, Kin, Lineage, MOST_PAST, WAY_OUT};
pub use esp::{GenerationNumber, Incarnation, Pair, PairRing, PairSecret};
pub use id::{
    ClusterId, EndpointId, Id, IdParseError, NetworkId, NodeId, RequestId, SandboxId, SessionId, TokenId,
    UserId,
};
pub use lock::UnlockSecret;
pub use name::{
    DnsName, Labels, LabelsError, MAX_LABEL_BYTES, MAX_LABELS, NameError, check_labels, is_dns_label,
    is_dns_name,
};
pub use network::{
    Driver, HOST_NETWORKS, IpamConfig, MAX_NETWORK_PREFIX, Network, NetworkSpec, Scope, SpecError, Subnet,
    Vni, overlaps,
};
pub use node::{
    Availability, ManagerInfo, MemberState, Node, NodeState, NodeStatus, NodeUpdate, Role, UnknownWord,
};
pub use secrets::{Generation, GossipKey, MOST_GENERATIONS, SecretBytes, SecretRing};
pub use settings_change::SettingsChange;
pub use time::rfc3339;
