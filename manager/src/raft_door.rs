//! Who may speak Raft: managers, each for its own Raft id.
//! Knows: connections, members and the records. Must not know: Raft's messages.

use crate::applied::AppliedState;
use crate::authorise::{Denied, authorise};
use crate::caller::{Arrival, Caller};
use crate::method::Method;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_identity::ConnectedPeer;
use swarm_model::{NodeId, Role};
use swarm_raft::{Member, RaftNode, RaftServer, RaftService, SenderCheck};
use tonic::service::interceptor::{InterceptedService, Interceptor};
use tonic::{Extensions, Request, Status};

/// Refuses every call of the service that does not come from a manager of this cluster.
#[derive(Clone)]
pub struct RaftDoor {
    applied: Arc<AppliedState>,
    raft: RaftNode,
    heard: Arc<Mutex<Heard>>,
    /// A leader not heard of for so long may be none any more.
    patience: Duration,
}

/// When the leader of this manager has last spoken to it, and which node that is.
#[derive(Debug, Default)]
struct Heard(Option<(NodeId, Instant)>);

impl Heard {
    /// Whether somebody else than `caller` leads, and is alive.
    fn another(&self, caller: NodeId, now: Instant, patience: Duration) -> bool {
        self.0.is_some_and(|(leader, at)| leader != caller && now.saturating_duration_since(at) < patience)
    }
}

impl Interceptor for RaftDoor {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let caller = Arrival::of(&request)?.connection;
        self.judge(&caller).map(|()| request).map_err(Status::from)
    }
}

impl RaftDoor {
    pub fn new(applied: Arc<AppliedState>, raft: RaftNode, patience: Duration) -> Self {
        Self { applied, raft, heard: Arc::default(), patience }
    }

    pub fn before(
        self,
        service: RaftServer<RaftService>,
    ) -> InterceptedService<RaftServer<RaftService>, Self> {
        InterceptedService::new(service, self)
    }

    fn judge(&self, caller: &Caller) -> Result<(), Denied> {
        // The methods of this service share one line of the table.
        let judged = self.applied.read(|state| authorise(caller.clone(), Method::Append, (), state));
        match judged {
            Err(denied) if !self.may_be_behind(caller, &denied) => Err(denied),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whoever brings a manager its records cannot be judged by older ones: the leader of today may have been a worker
    /// then. A leader with its majority knows that its records are the newest; who hears from another leader is kept up
    /// to date by that one, and needs nobody whom its records do not name.
    fn may_be_behind(&self, caller: &Caller, denied: &Denied) -> bool {
        let Caller::Node(identity) = caller else { return false };
        identity.role == Role::Manager
            && !matches!(denied, Denied::OtherCluster { .. })
            && !leads(&self.raft.status())
            && !self.heard.lock().another(identity.node, Instant::now(), self.patience)
    }

    /// Judges the sender of messages, again and again while its stream lasts, and ties its certificate to the Raft id it
    /// speaks for. An id that is not known here yet may be any manager's: this one may be just joining.
    pub fn check_sender(&self) -> SenderCheck {
        let door = self.clone();
        Arc::new(move |extensions: &Extensions, id: u64, member: Option<&Member>| {
            let peer = extensions.get::<ConnectedPeer>().and_then(|connected| connected.peer.as_ref());
            let Some(peer) = peer else {
                return Err("Raft is spoken with a manager's certificate only".to_owned());
            };
            if let Some(member) = member.filter(|member| member.node != peer.node.to_string()) {
                return Err(format!("Raft member {id} is node {}, not {}", member.node, peer.node));
            }
            door.judge(&Caller::Node(peer.into())).map_err(|denied| denied.to_string())?;
            door.hear(peer.node);
            Ok(())
        })
    }

    fn hear(&self, node: NodeId) {
        let leader = self.raft.status().leader.and_then(|(_, member)| member.node.parse().ok());
        if leader == Some(node) {
            self.heard.lock().0 = Some((node, Instant::now()));
        }
    }
}

/// A leader with its majority.
pub fn leads(status: &swarm_raft::Status) -> bool {
    let heard = status.voters.keys().filter(|id| status.heard.contains(id)).count();
    status.role == swarm_raft::Role::Leader && heard > status.voters.len() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leader_that_was_heard_of_just_now_keeps_others_out() {
        let (leader, other) = (NodeId::from_random([1; 16]), NodeId::from_random([2; 16]));
        let (now, patience) = (Instant::now(), Duration::from_millis(250));
        let heard = Heard(Some((leader, now)));
        assert!(heard.another(other, now + Duration::from_millis(249), patience));
        assert!(!heard.another(other, now + patience, patience), "it may be lost");
        assert!(!heard.another(leader, now, patience));
        assert!(!Heard::default().another(other, now, patience));
    }
}
