//! Who may speak Raft: managers, each for its own Raft id.
//! Knows: connections and members. Must not know: Raft's messages.

use crate::applied::AppliedState;
use crate::authorise::authorise;
use crate::caller::Arrival;
use crate::method::Method;
use std::sync::Arc;
use swarm_identity::ConnectedPeer;
use swarm_raft::{Member, RaftServer, RaftService, SenderCheck};
use tonic::service::interceptor::{InterceptedService, Interceptor};
use tonic::{Extensions, Request, Status};

/// Refuses every call of the service that does not come from a manager of this cluster.
#[derive(Clone)]
pub struct ManagersOnly(Arc<AppliedState>);

impl Interceptor for ManagersOnly {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let caller = Arrival::of(&request)?.connection;
        // The methods of this service share one line of the table.
        self.0.read(|state| authorise(caller, Method::Append, (), state))?;
        Ok(request)
    }
}

pub fn managers_only(
    raft: RaftServer<RaftService>,
    applied: Arc<AppliedState>,
) -> InterceptedService<RaftServer<RaftService>, ManagersOnly> {
    InterceptedService::new(raft, ManagersOnly(applied))
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
