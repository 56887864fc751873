//! Where the record of managers differs from Raft's members, which are the truth.
//! Knows: both. Must not know: how either changes.

use std::net::SocketAddr;
use swarm_model::{ManagerInfo, MemberState, Node, NodeId, NodeState};
use swarm_raft::Status;

/// The places that the record has to be given.
pub fn corrections<'a>(
    status: &Status,
    nodes: impl Iterator<Item = &'a Node>,
) -> Vec<(NodeId, Option<ManagerInfo>)> {
    let present = nodes.filter(|node| node.status.state != NodeState::Disconnected);
    present.filter_map(|node| correction(status, node)).collect()
}

fn correction(status: &Status, node: &Node) -> Option<(NodeId, Option<ManagerInfo>)> {
    let name = node.id.to_string();
    let voter = status.voters.iter().find(|(_, member)| member.node == name);
    let truth = voter.map(|(id, member)| place(*id, member.addr));
    (truth != node.manager).then_some((node.id, truth))
}

fn place(raft_id: u64, addr: SocketAddr) -> ManagerInfo {
    ManagerInfo { raft_id, addr, member: MemberState::Voter }
}
