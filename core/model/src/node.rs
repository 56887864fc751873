//! A node: a host that belongs to the cluster. Each field's doc names its one writer.

use crate::{Incarnation, Labels, NodeId};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Written once, when the node is admitted; the CN of its certificate.
    pub id: NodeId,
    /// Written by the node's own registration.
    pub hostname: String,
    /// The role wanted for it. Written by admission, promote and demote.
    pub role: Role,
    /// Written by `node update` and by admission.
    pub availability: Availability,
    /// Written by `node update`.
    pub labels: Labels,
    /// Where other nodes reach its daemon. Written by the node's own registration.
    pub addr: IpAddr,
    /// The outer source of its VXLAN packets, its VTEP. Written by the node's own registration.
    pub data_path_addr: IpAddr,
    /// Version of its `swarmd`. Written by the node's own registration.
    pub version: String,
    /// Written by the dispatcher of the manager that holds its session.
    pub status: NodeStatus,
    /// Its place in Raft; `None` for workers. Written by the leader's membership loop.
    pub manager: Option<ManagerInfo>,
    /// Milliseconds since the epoch, stamped by the proposer. Written once.
    pub joined_ms: u64,
    /// Log index of the last change of what operators set (role, availability, labels). Written by
    /// admission, `node update`, `promote` and `demote`.
    #[serde(default)]
    pub revision: u64,
    /// The highest feature level its `swarmd` knows. Written by the node's own registration.
    #[serde(default)]
    pub features: u32,
    /// What its keys of encrypted networks are made with, once it has one. Written by its dispatcher.
    #[serde(default)]
    pub incarnation: Option<Incarnation>,
}

impl Node {
    /// In Raft with a vote, as far as the record goes.
    pub fn votes(&self) -> bool {
        self.manager.as_ref().is_some_and(|manager| manager.member == MemberState::Voter)
    }

    /// In Raft, or on the way there: it must know every command that may be in the log.
    pub fn reads_log(&self) -> bool {
        let wanted = self.role == Role::Manager && self.status.state != NodeState::Disconnected;
        wanted || self.manager.is_some()
    }
}

/// What an operator changes about a node. What is not named stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUpdate {
    pub role: Option<Role>,
    pub availability: Option<Availability>,
    #[serde(default)]
    pub labels_add: Labels,
    /// Taken away before `labels_add` comes.
    #[serde(default)]
    pub labels_remove: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    pub state: NodeState,
    /// Why it is in that state, for people; empty when there is nothing to say.
    pub message: String,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
}

/// A manager as the others reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerInfo {
    /// Carries an incarnation: a wiped manager comes back under another number, never as its old self.
    pub raft_id: u64,
    /// Where it listens for the others, as advertised.
    pub addr: SocketAddr,
    pub member: MemberState,
}

/// Text of one of this file's enums that is none of its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    pub given: String,
    pub expected: &'static str,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not known: expected {}", self.given, self.expected)
    }
}

impl core::error::Error for UnknownWord {}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? } expected $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(given: &str) -> Result<Self, UnknownWord> {
                match given {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { given: given.chars().take(40).collect(), expected: $expected }),
                }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
        }
    };
}
pub(crate) use words;

words! {
    /// What a node is for. In certificates it is the OU, as `swarm-worker` or `swarm-manager`.
    Role { Worker = "worker", Manager = "manager" } expected "worker or manager"
}

words! {
    /// Whether endpoints may be placed on a node.
    Availability {
        Active = "active",
        /// No new endpoints; those there stay.
        Pause = "pause",
        /// As pause, and balancers leave the node out.
        Drain = "drain",
    } expected "active, pause or drain"
}

words! {
    /// What the managers know of a node's life.
    NodeState {
        /// Admitted, has not opened a session yet.
        Pending = "pending",
        /// Holds a session with some manager.
        Ready = "ready",
        /// Its session ended a moment ago, or its manager is gone: it has a grace period to come back.
        Unknown = "unknown",
        /// Did not come back in time.
        Down = "down",
        /// Said good-bye (`leave`).
        Disconnected = "disconnected",
    } expected "pending, ready, unknown, down or disconnected"
}

words! {
    /// A manager's place in Raft.
    MemberState {
        /// Receives the log, has no vote yet.
        Learner = "learner",
        Voter = "voter",
    } expected "learner or voter"
}

impl Role {
    /// The OU of this role's certificates.
    pub fn organizational_unit(self) -> &'static str {
        match self {
            Self::Worker => "swarm-worker",
            Self::Manager => "swarm-manager",
        }
    }

    pub fn from_organizational_unit(ou: &str) -> Option<Self> {
        match ou {
            "swarm-worker" => Some(Self::Worker),
            "swarm-manager" => Some(Self::Manager),
            _ => None,
        }
    }
}
