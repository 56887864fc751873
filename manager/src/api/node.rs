//! Nodes: list and look. Knows: what is shown of a node. Must not know: who changes it.

use crate::api::reachability::{Reachabilities, reachabilities};
use crate::failure::refusal;
use crate::seat::Seat;
use swarm_model::Node;
use swarm_proto::v1;
use tonic::Status;

pub async fn list(seat: &Seat) -> v1::ListNodesResponse {
    let reachable = reachabilities(seat).await;
    let nodes = seat.applied.read(|state| state.nodes().map(|node| shown(node, &reachable)).collect());
    v1::ListNodesResponse { nodes }
}

pub async fn get(seat: &Seat, request: &v1::GetNodeRequest) -> Result<v1::GetNodeResponse, Status> {
    let reachable = reachabilities(seat).await;
    seat.applied.read(|state| {
        let node = state.resolve_node(&request.reference).map_err(|e| refusal(&e))?;
        Ok(v1::GetNodeResponse {
            node: Some(shown(node, &reachable)),
            endpoints: state.endpoints_of(&node.id).map(Into::into).collect(),
        })
    })
}

fn shown(node: &Node, reachable: &Reachabilities) -> v1::Node {
    let mut shown = v1::Node::from(node);
    if let (Some(wire), Some(manager)) = (&mut shown.manager, &node.manager) {
        wire.reachability = reachable.of(manager.raft_id).into();
    }
    shown
}
