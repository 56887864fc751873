//! Who asks: taken from the connection, or from the manager that forwards.
//! Knows: connections' identities and the metadata a forwarding manager adds. Must not know: permissions.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use swarm_identity::{ConnectedPeer, Peer};
use swarm_model::{ClusterId, NodeId, Role, UserId};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Status};

/// The metadata key under which a manager names the caller it forwards for. One hop: the receiver does not pass it on.
pub const FORWARDED: &str = "swarm-forwarded-peer";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caller {
    LocalOperator,
    Node(Identity),
    Anonymous,
    /// With a certificate that is no node's.
    User(UserIdentity),
}

/// What a user's certificate says; the name and what it may do stand on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserIdentity {
    pub user: UserId,
    pub cluster: ClusterId,
}

/// What a verified certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub node: NodeId,
    pub role: Role,
    pub cluster: ClusterId,
}

impl From<&Peer> for Identity {
    fn from(peer: &Peer) -> Self {
        Self { node: peer.node, role: peer.role, cluster: peer.cluster }
    }
}

impl Caller {
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Node(identity) => Some(identity.node),
            Self::LocalOperator | Self::Anonymous | Self::User(_) => None,
        }
    }

    /// For the metadata of a forwarded call.
    pub fn to_metadata(&self) -> Result<MetadataValue<Ascii>, Status> {
        let text = serde_json::to_string(self).map_err(|e| Status::internal(e.to_string()))?;
        MetadataValue::try_from(text).map_err(|e| Status::internal(e.to_string()))
    }
}

/// The caller at the other end of this connection and, when that is a manager forwarding, the one it speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub connection: Caller,
    pub forwarded: Option<Caller>,
    /// Where the connection came from; `None` for the local socket.
    pub addr: Option<IpAddr>,
}

impl Arrival {
    /// Reads the connection's identity, and refuses a forwarded one from anybody but a manager.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let (connection, addr) = Self::connection(request);
        let forwarded = forwarded(request.metadata(), &connection)?;
        Ok(Self { connection, forwarded, addr })
    }

    /// Who is at the other end and where, whatever it says of others.
    pub fn connection<T>(request: &Request<T>) -> (Caller, Option<IpAddr>) {
        let peer = request.extensions().get::<ConnectedPeer>();
        (peer.map_or(Caller::Anonymous, holder), peer.map(|p| p.addr.ip()))
    }

    pub fn local() -> Self {
        Self { connection: Caller::LocalOperator, forwarded: None, addr: None }
    }
}

fn holder(peer: &ConnectedPeer) -> Caller {
    match (&peer.peer, &peer.user) {
        (Some(node), _) => Caller::Node(node.into()),
        (None, Some(user)) => Caller::User(UserIdentity { user: user.user, cluster: user.cluster }),
        (None, None) => Caller::Anonymous,
    }
}

fn forwarded(metadata: &MetadataMap, connection: &Caller) -> Result<Option<Caller>, Status> {
    let Some(value) = metadata.get(FORWARDED) else {
        return Ok(None);
    };
    let from_manager = matches!(connection, Caller::Node(identity) if identity.role == Role::Manager);
    if !from_manager {
        return Err(Status::permission_denied(format!("only a manager may send {FORWARDED}")));
    }
    let unreadable =
        || Status::invalid_argument(format!("{FORWARDED} is unreadable: expected a caller as JSON"));
    let text = value.to_str().map_err(|_| unreadable())?;
    serde_json::from_str(text).map(Some).map_err(|_| unreadable())
}
