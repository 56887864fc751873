//! Every method served on TCP 2377, by the name it has on the wire.
//! Knows: the names. Must not know: who may call them (`authorise`).

use std::fmt;

macro_rules! methods {
    ($($service:ident { $($method:ident),+ $(,)? })+) => {
        /// One method of one service. The variants are the methods' own names; no two services share one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method { $($($method),+),+ }

        impl Method {
            pub const ALL: &'static [Self] = &[$($(Self::$method),+),+];

            /// `Service/Method`.
            pub fn name(self) -> &'static str {
                match self { $($(Self::$method => concat!(stringify!($service), "/", stringify!($method))),+),+ }
            }
        }
    };
}

methods! {
    Ca { GetRootCa, Issue, Renew, RenewExpired }
    Control {
        GetCluster, GetJoinToken, RotateJoinToken,
        UpdateCluster, RotateRoot,
        ListNodes, GetNode, UpdateNode, RemoveNode,
        CreateNetwork, ListNetworks, GetNetwork, RemoveNetwork, PruneNetworks,
        ListEndpoints,
        Backup,
        SetLock, GetUnlockKey,
        CreateJoinToken, ListJoinTokens, RevokeJoinToken,
        CreateUser, ListUsers, RemoveUser,
        WatchEvents,
    }
    Dispatcher { Session, Leave }
    Attachments { CreateEndpoints, ReleaseEndpoints }
    Membership { JoinRaft, LeaveRaft, ReadIndex, Heard, Weigh, Propose, Greet }
    Recovery { Survey }
    Raft { Append, Vote, PreVote, InstallSnapshot, TransferLeader }
}

impl Method {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.name() == name)
    }
}

impl Method {
    /// What a caller wants that calls it, after "may" or "to".
    pub fn wish(self) -> &'static str {
        match self {
            Self::GetCluster => "look at the cluster",
            Self::GetJoinToken => "see a join token",
            Self::RotateJoinToken => "replace a join token",
            Self::UpdateCluster => "change the cluster's settings",
            Self::RotateRoot => "replace the root CA",
            Self::ListNodes | Self::GetNode => "look at nodes",
            Self::UpdateNode => "change nodes",
            Self::RemoveNode => "remove nodes",
            Self::CreateNetwork => "create networks",
            Self::ListNetworks | Self::GetNetwork => "look at networks",
            Self::RemoveNetwork | Self::PruneNetworks => "remove networks",
            Self::ListEndpoints => "look at endpoints",
            Self::WatchEvents => "watch events",
            Self::Backup => "make a backup",
            Self::SetLock => "lock or unlock the managers' files, or replace the unlock key",
            Self::GetUnlockKey => "see the unlock key",
            Self::CreateJoinToken => "make join tokens",
            Self::ListJoinTokens => "list join tokens",
            Self::RevokeJoinToken => "revoke join tokens",
            Self::CreateUser => "make users",
            Self::ListUsers => "list users",
            Self::RemoveUser => "remove users",
            Self::GetRootCa | Self::Issue | Self::Renew | Self::RenewExpired => "ask for a certificate",
            Self::Session => "open a node's session",
            Self::Leave => "say good-bye for a node",
            Self::CreateEndpoints | Self::ReleaseEndpoints => "change a node's endpoints",
            Self::JoinRaft
            | Self::LeaveRaft
            | Self::ReadIndex
            | Self::Heard
            | Self::Weigh
            | Self::Propose
            | Self::Greet
            | Self::Survey
            | Self::Append
            | Self::Vote
            | Self::PreVote
            | Self::InstallSnapshot
            | Self::TransferLeader => "speak as one manager to another",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
