//! Who may call what: the table Method × Standing, and the permit it gives.
//! Knows: callers, methods, the cluster's nodes. Must not know: sockets, certificates' bytes, what a method does.

use crate::caller::{Caller, Identity};
use crate::method::Method;
use swarm_model::{ClusterId, Node, NodeId, NodeState, Role, User, UserId, UserRole};

/// What a caller is once its certificate and the cluster's own records have been compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Came over the local socket, whose file mode is its permission.
    LocalOperator,
    Manager,
    Worker,
    /// No certificate.
    Anonymous,
    /// A user on record.
    User(UserRole),
}

impl Standing {
    pub const ALL: [Self; 7] = [
        Self::LocalOperator,
        Self::Manager,
        Self::Worker,
        Self::Anonymous,
        Self::User(UserRole::Viewer),
        Self::User(UserRole::Operator),
        Self::User(UserRole::Admin),
    ];

    fn whom_to_ask(self) -> &'static str {
        match self {
            Self::User(_) => "ask one whose role allows it, or use its command on a manager's own host",
            Self::LocalOperator | Self::Manager | Self::Worker | Self::Anonymous => {
                "ask a manager of the cluster"
            }
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::LocalOperator => "the local operator",
            Self::Manager => "a manager",
            Self::Worker => "a worker",
            Self::Anonymous => "a caller without a certificate",
            Self::User(UserRole::Viewer) => "a user who is a viewer",
            Self::User(UserRole::Operator) => "a user who is an operator",
            Self::User(UserRole::Admin) => "a user",
        }
    }
}

/// A request that may be carried out. Only [`authorise`] makes one, and `propose` takes nothing else.
#[derive(Debug, Clone)]
pub struct Authorized<R> {
    caller: Caller,
    method: Method,
    standing: Standing,
    request: R,
}

impl<R> Authorized<R> {
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub fn method(&self) -> Method {
        self.method
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    pub fn request(&self) -> &R {
        &self.request
    }

    /// The node that calls; `None` for the local operator and callers without a certificate.
    pub fn node(&self) -> Option<NodeId> {
        self.caller.node()
    }

    /// The same permit for what the request comes to: a command, or the request split into parts.
    pub fn map<T>(self, f: impl FnOnce(R) -> T) -> Authorized<T> {
        Authorized {
            caller: self.caller,
            method: self.method,
            standing: self.standing,
            request: f(self.request),
        }
    }

    /// The permit, and the request on its own.
    pub fn split(self) -> (Authorized<()>, R) {
        let Self { caller, method, standing, request } = self;
        (Authorized { caller, method, standing, request: () }, request)
    }

    pub fn try_map<T, E>(self, f: impl FnOnce(R) -> Result<T, E>) -> Result<Authorized<T>, E> {
        let (permit, request) = self.split();
        let request = f(request)?;
        Ok(permit.map(|()| request))
    }
}

impl<R> Authorized<R> {
    /// What this manager does of its own accord: the leader's loops, its own bootstrap.
    pub fn of_this_manager(me: Identity, request: R) -> Self {
        Self { caller: Caller::Node(me), method: Method::Propose, standing: Standing::Manager, request }
    }
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("to {} needs a certificate of this cluster: join it first with `swarmctl join`", method.wish())]
    NoCertificate { method: Method },
    #[error("{} may not {}: {}", standing.phrase(), method.wish(), standing.whom_to_ask())]
    NotPermitted { method: Method, standing: Standing },
    #[error("{} may not promote or demote nodes: {}", standing.phrase(), standing.whom_to_ask())]
    RoleNotPermitted { standing: Standing },
    #[error(
        "node {node} is not a member of this cluster: it left or was removed; `swarmctl leave --force` there, then join again"
    )]
    NotMember { node: NodeId },
    #[error("the certificate is one of cluster {given}, this is cluster {ours}")]
    OtherCluster { given: ClusterId, ours: ClusterId },
    #[error(
        "the user of this identity ({user}) was removed from the cluster: ask an admin for a new one (`swarmctl user create`)"
    )]
    NotAUser { user: UserId },
}

/// Whether callers of this standing may call this method.
pub fn permits(method: Method, standing: Standing) -> bool {
    use Method::*;
    use Standing::{Anonymous, LocalOperator, Manager, User, Worker};
    use UserRole::{Admin, Operator, Viewer};
    match method {
        GetRootCa => match standing {
            Manager | Worker | Anonymous | User(_) => true,
            LocalOperator => false,
        },
        // What is shown there judges: a token, or a key that is known.
        Issue | RenewExpired => match standing {
            Manager | Worker | Anonymous => true,
            LocalOperator | User(_) => false,
        },
        Renew | Session | Leave | CreateEndpoints | ReleaseEndpoints | Survey => match standing {
            Manager | Worker => true,
            LocalOperator | Anonymous | User(_) => false,
        },
        GetCluster | ListNodes | GetNode | ListNetworks | GetNetwork | ListEndpoints | ListJoinTokens
        | ListUsers | WatchEvents => match standing {
            LocalOperator | Manager | User(Viewer | Operator | Admin) => true,
            Worker | Anonymous => false,
        },
        // Of a node operators change all but the role: see `permits_role`.
        UpdateNode | CreateNetwork | RemoveNetwork | PruneNetworks => match standing {
            LocalOperator | Manager | User(Operator | Admin) => true,
            Worker | Anonymous | User(Viewer) => false,
        },
        GetJoinToken | RotateJoinToken | CreateJoinToken | RevokeJoinToken | CreateUser | RemoveUser
        | RemoveNode | Backup | SetLock | GetUnlockKey | UpdateCluster | RotateRoot => match standing {
            LocalOperator | Manager | User(Admin) => true,
            Worker | Anonymous | User(Viewer | Operator) => false,
        },
        JoinRaft | LeaveRaft | ReadIndex | Heard | Weigh | Propose | Greet | Append | Vote | PreVote
        | InstallSnapshot | TransferLeader => match standing {
            Manager => true,
            LocalOperator | Worker | Anonymous | User(_) => false,
        },
    }
}

/// Whether callers of this standing may make nodes managers or workers.
pub fn permits_role(standing: Standing) -> bool {
    permits(Method::UpdateNode, standing) && standing != Standing::User(UserRole::Operator)
}

/// True for methods that are judged by the certificate alone while this manager has no record yet: what brings it its state
/// cannot wait for that state.
fn by_certificate(method: Method) -> bool {
    use Method::*;
    match method {
        Append | Vote | PreVote | InstallSnapshot | TransferLeader | Survey | Greet => true,
        GetRootCa | Issue | Renew | RenewExpired | UpdateCluster | RotateRoot | GetCluster | GetJoinToken
        | RotateJoinToken | ListNodes | GetNode | UpdateNode | RemoveNode | CreateNetwork | ListNetworks
        | GetNetwork | RemoveNetwork | PruneNetworks | ListEndpoints | Backup | SetLock | GetUnlockKey
        | CreateJoinToken | ListJoinTokens | RevokeJoinToken | CreateUser | ListUsers | RemoveUser
        | WatchEvents | Session | Leave | CreateEndpoints | ReleaseEndpoints | JoinRaft | LeaveRaft
        | ReadIndex | Heard | Weigh | Propose => false,
    }
}

/// A node that left stays on record for people to see; it may do nothing more.
fn has_left(node: &Node) -> bool {
    node.status.state == NodeState::Disconnected
}

/// What a node that has said one good-bye may have to say again.
fn is_farewell(method: Method) -> bool {
    matches!(method, Method::Leave | Method::LeaveRaft)
}

/// The cluster's own records, as far as they are needed to judge a caller.
pub trait Roster {
    fn cluster(&self) -> Option<ClusterId>;
    fn node(&self, id: NodeId) -> Option<&Node>;
    fn user(&self, id: UserId) -> Option<&User>;
}

/// Judges a call against this manager's records. `NotMember` may only mean that the records are behind.
pub fn authorise<R>(
    caller: Caller,
    method: Method,
    request: R,
    roster: &impl Roster,
) -> Result<Authorized<R>, Denied> {
    let standing = standing(&caller, method, roster)?;
    if permits(method, standing) {
        Ok(Authorized { caller, method, standing, request })
    } else if standing == Standing::Anonymous {
        Err(Denied::NoCertificate { method })
    } else {
        Err(Denied::NotPermitted { method, standing })
    }
}

fn standing(caller: &Caller, method: Method, roster: &impl Roster) -> Result<Standing, Denied> {
    let identity = match caller {
        Caller::LocalOperator => return Ok(Standing::LocalOperator),
        Caller::Anonymous => return Ok(Standing::Anonymous),
        Caller::Node(identity) => identity,
        Caller::User(identity) => {
            of_this_cluster(identity.cluster, roster)?;
            let user = roster.user(identity.user).ok_or(Denied::NotAUser { user: identity.user })?;
            return Ok(Standing::User(user.role));
        }
    };
    of_this_cluster(identity.cluster, roster)?;
    let recorded = match roster.node(identity.node) {
        Some(node) if has_left(node) && !is_farewell(method) => {
            return Err(Denied::NotMember { node: identity.node });
        }
        // One that is to be demoted counts until Raft has let it go: it may be the leader.
        Some(node) if node.manager.is_some() => Role::Manager,
        Some(node) => node.role,
        None if by_certificate(method) && roster.cluster().is_none() => identity.role,
        // A token admits these, whatever else the caller may show.
        None if permits(method, Standing::Anonymous) => return Ok(Standing::Anonymous),
        // Removed, or newer than these records: see `gate` and `raft_door`.
        None => return Err(Denied::NotMember { node: identity.node }),
    };
    // A certificate from before a demotion grants no more than the record; one from before a promotion no more than itself.
    Ok(match (identity.role, recorded) {
        (Role::Manager, Role::Manager) => Standing::Manager,
        (Role::Worker, _) | (_, Role::Worker) => Standing::Worker,
    })
}

/// For callers of whom these records know nothing, while nobody can say whether they are behind: what the certificate alone
/// permits. What such a caller says is not to be believed.
pub fn by_certificate_alone(caller: &Identity, method: Method) -> Result<(), Denied> {
    let standing = match caller.role {
        Role::Manager => Standing::Manager,
        Role::Worker => Standing::Worker,
    };
    match by_certificate(method) && permits(method, standing) {
        true => Ok(()),
        false => Err(Denied::NotPermitted { method, standing }),
    }
}

fn of_this_cluster(given: ClusterId, roster: &impl Roster) -> Result<(), Denied> {
    match roster.cluster().filter(|ours| *ours != given) {
        Some(ours) => Err(Denied::OtherCluster { given, ours }),
        None => Ok(()),
    }
}
