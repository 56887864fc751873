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
    Membership { JoinRaft, LeaveRaft, ReadIndex, Heard, Propose, Greet }
    Recovery { Survey }
    Raft { Append, Vote, PreVote, InstallSnapshot, TransferLeader }
}

impl Method {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.name() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
