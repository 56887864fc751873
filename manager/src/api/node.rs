//! Nodes: list, look, change, remove. Knows: what is shown of a node. Must not know: when a change is allowed.

use crate::api::liveness::Signs;
use crate::api::reachability::{Reachabilities, as_heard, reachabilities};
use crate::api::root::tls_status;
use crate::authorise::{Authorized, Denied, permits_role};
use crate::claims::check_labels;
use crate::failure::{refusal, unexpected};
use crate::recovery;
use crate::seat::{Seat, request_id};
use swarm_model::{Node, NodeId, NodeUpdate, Role};
use swarm_proto::v1;
use swarm_state::{Command, Refusal, Reply, State, UpdateNode};
use tonic::Status;

pub async fn list(seat: &Seat) -> v1::ListNodesResponse {
    let reachable = reachabilities(seat).await;
    let branches = seat.met.warnings(&recovery::lineage(seat));
    let signs = Signs::new(seat, &reachable);
    seat.applied.read(|state| v1::ListNodesResponse {
        nodes: state.nodes().map(|node| with_signs(seat, (state, node), &signs, &reachable)).collect(),
        warnings: [state.losses(|raft_id| reachable.presence(raft_id)).warnings(), branches].concat(),
    })
}

pub async fn get(seat: &Seat, request: &v1::GetNodeRequest) -> Result<v1::GetNodeResponse, Status> {
    let reachable = reachabilities(seat).await;
    let signs = Signs::new(seat, &reachable);
    seat.applied.read(|state| {
        let node = state.resolve_node(&request.reference).map_err(|e| refusal(&e))?;
        Ok(v1::GetNodeResponse {
            node: Some(with_signs(seat, (state, node), &signs, &reachable)),
            endpoints: state.endpoints_of(&node.id).map(Into::into).collect(),
        })
    })
}

pub async fn update(
    seat: &Seat,
    permit: Authorized<v1::UpdateNodeRequest>,
) -> Result<v1::UpdateNodeResponse, Status> {
    let asked = permit.request();
    let (request, node) = (request_id(&asked.request_id)?, resolve(seat, &asked.reference)?);
    let (update, if_revision) = (NodeUpdate::try_from(asked)?, asked.if_revision);
    check_labels(&update.labels_add).map_err(Status::invalid_argument)?;
    if update.role.is_some() && !permits_role(permit.standing()) {
        return Err(Denied::RoleNotPermitted { standing: permit.standing() }.into());
    }
    if update.role == Some(Role::Worker) {
        check_demotion(seat, node).await?;
    }
    let command = permit.map(|_| Command::UpdateNode(UpdateNode { node, update, if_revision }));
    match seat.proposer.propose(command, request).await?.reply {
        Reply::Node(node) => {
            let reachable = as_heard(seat).await;
            Ok(seat.applied.read(|state| v1::UpdateNodeResponse {
                node: Some(shown(state, &node, &reachable)),
                endpoints: state.endpoints_of(&node.id).map(Into::into).collect(),
            }))
        }
        other => Err(unexpected(&other)),
    }
}

/// Whether the request can go into the log without a look at what was committed before it: nothing about it is judged
/// here but which node is meant, and that one is on record. Should it be gone by then, the state says so.
pub fn is_settled_by_the_state(seat: &Seat, asked: &v1::UpdateNodeRequest) -> bool {
    asked.role() == v1::Role::Unspecified && resolve(seat, &asked.reference).is_ok()
}

/// The state knows who was lost some seconds ago; who was lost just now is found out here.
async fn check_demotion(seat: &Seat, node: NodeId) -> Result<(), Status> {
    let last = seat.applied.read(|state| {
        let votes = state.node(&node).is_some_and(Node::votes);
        !votes || state.managers().len() < 2
    });
    // That is for the state to judge.
    if last {
        return Ok(());
    }
    recovery::can_do_without(seat, node).await.map_err(|reason| {
        Status::failed_precondition(format!(
            "without this manager the others could not decide: {reason}; bring them back or demote them first"
        ))
    })
}

pub async fn remove(
    seat: &Seat,
    permit: Authorized<v1::RemoveNodeRequest>,
) -> Result<v1::RemoveNodeResponse, Status> {
    let asked = permit.request();
    let (request, node, force) =
        (request_id(&asked.request_id)?, resolve(seat, &asked.reference)?, asked.force);
    match seat.proposer.propose(permit.map(|_| Command::RemoveNode { node, force }), request).await?.reply {
        Reply::Done => Ok(v1::RemoveNodeResponse { id: node.to_string() }),
        Reply::Refused(Refusal::NodeNotDown(_)) => Err(refusal(&Refusal::NodeNotDown(handle(seat, node)))),
        Reply::Refused(Refusal::NodeIsManager(_)) => {
            Err(refusal(&Refusal::NodeIsManager(handle(seat, node))))
        }
        other => Err(unexpected(&other)),
    }
}

/// What to call a node in a command that is advised: its id where its name would not say who is meant.
fn handle(seat: &Seat, id: NodeId) -> String {
    seat.applied.read(|state| match state.node(&id).map(|node| &node.hostname) {
        Some(host) if state.resolve_node(host).is_ok_and(|found| found.id == id) => host.clone(),
        Some(_) | None => id.to_string(),
    })
}

fn resolve(seat: &Seat, reference: &str) -> Result<NodeId, Status> {
    seat.applied.read(|state| state.resolve_node(reference).map(|node| node.id)).map_err(|e| refusal(&e))
}

fn shown(state: &State, node: &Node, reachable: &Reachabilities) -> v1::Node {
    let mut shown = v1::Node::from(node);
    shown.tls = tls_status(state, node).into();
    if let (Some(wire), Some(manager)) = (&mut shown.manager, &node.manager) {
        wire.reachability = reachable.of(manager.raft_id).into();
        reachable.trouble(manager.raft_id).clone_into(&mut wire.trouble);
    }
    shown
}

fn with_signs(
    seat: &Seat,
    (state, node): (&State, &Node),
    signs: &Signs<'_>,
    reachable: &Reachabilities,
) -> v1::Node {
    v1::Node { liveness: Some(signs.of(seat, state, node)), ..shown(state, node, reachable) }
}
