//! Who may speak Raft: managers, each for its own Raft id.
//! Knows: connections and members. Must not know: Raft's messages.

use crate::applied::AppliedState;
use crate::authorise::{Denied, authorise};
use crate::caller::{Arrival, Caller};
use crate::method::Method;
use std::sync::Arc;
use swarm_identity::ConnectedPeer;
use swarm_model::Role;
use swarm_raft::{Member, RaftNode, RaftServer, RaftService, SenderCheck};
use tonic::service::interceptor::{InterceptedService, Interceptor};
use tonic::{Extensions, Request, Status};

/// Refuses every call of the service that does not come from a manager of this cluster.
#[derive(Clone)]
pub struct ManagersOnly {
    applied: Arc<AppliedState>,
    raft: RaftNode,
}

impl Interceptor for ManagersOnly {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let caller = Arrival::of(&request)?.connection;
        // The methods of this service share one line of the table.
        let judged = self.applied.read(|state| authorise(caller.clone(), Method::Append, (), state));
        match judged {
            Ok(_) => Ok(request),
            Err(denied) if self.may_be_behind(&caller, &denied) => Ok(request),
            Err(denied) => Err(denied.into()),
        }
    }
}

impl ManagersOnly {
    /// Whoever brings a manager its records cannot be judged by older ones: the leader of today may have been a worker
    /// then. Only a leader with its majority knows that its records are the newest.
    fn may_be_behind(&self, caller: &Caller, denied: &Denied) -> bool {
        let by_certificate = matches!(caller, Caller::Node(identity) if identity.role == Role::Manager);
        by_certificate && !matches!(denied, Denied::OtherCluster { .. }) && !leads(&self.raft.status())
    }
}

/// A leader with its majority.
pub fn leads(status: &swarm_raft::Status) -> bool {
    let heard = status.voters.keys().filter(|id| status.heard.contains(id)).count();
    status.role == swarm_raft::Role::Leader && heard > status.voters.len() / 2
}

pub fn managers_only(
    service: RaftServer<RaftService>,
    applied: Arc<AppliedState>,
    raft: RaftNode,
) -> InterceptedService<RaftServer<RaftService>, ManagersOnly> {
    InterceptedService::new(service, ManagersOnly { applied, raft })
}

/// Ties a connection's certificate to the Raft id it speaks for. An id that is not known here yet may be any
/// manager's: this one may be just joining.
pub fn check_sender() -> SenderCheck {
    Arc::new(|extensions: &Extensions, id: u64, member: Option<&Member>| {
        let peer = extensions.get::<ConnectedPeer>().and_then(|connected| connected.peer.as_ref());
        let Some(peer) = peer else {
            return Err("Raft is spoken with a manager's certificate only".to_owned());
        };
        match member {
            Some(member) if member.node != peer.node.to_string() => {
                Err(format!("Raft member {id} is node {}, not {}", member.node, peer.node))
            }
            Some(_) | None => Ok(()),
        }
    })
}
