//! Where the record of managers differs from Raft's members, which are the truth.
//! Knows: both. Must not know: how either changes.

use std::net::SocketAddr;
use swarm_model::{ManagerInfo, ManagerPeer, MemberState, Node, NodeId, NodeState};
use swarm_raft::Status;
use swarm_state::State;

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

/// Who counts as a manager: on record, or in Raft and not on record yet. Whoever is in Raft must not erase what it knows.
pub fn members(status: &Status, state: &State) -> Vec<ManagerPeer> {
    let mut members = state.managers();
    for member in status.voters.values().chain(status.learners.values()) {
        if let Ok(node) = member.node.parse()
            && !members.iter().any(|known| known.node == node)
        {
            members.push(ManagerPeer { node, addr: member.addr });
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::testing::{addr, node_id as id, status, worker};
    use swarm_model::Role;

    fn node(number: u8, state: NodeState, manager: Option<ManagerInfo>) -> Node {
        Node { role: Role::Manager, manager, ..worker(number, state) }
    }

    /// Raft with the nodes 1 and 2 as voters, and 3 that learns.
    fn raft() -> Status {
        Status { learners: status(&[3]).voters, ..status(&[1, 2]) }
    }

    fn corrected(nodes: &[Node]) -> Vec<(NodeId, Option<ManagerInfo>)> {
        corrections(&raft(), nodes.iter())
    }

    #[test]
    fn a_record_that_agrees_is_left_alone() {
        let nodes = [
            node(1, NodeState::Ready, Some(place(1, addr(1)))),
            node(2, NodeState::Down, Some(place(2, addr(2)))),
            node(3, NodeState::Ready, None),
        ];
        assert_eq!(corrected(&nodes), []);
    }

    #[test]
    fn voters_get_their_place_and_others_lose_it() {
        let nodes = [
            node(1, NodeState::Ready, None),
            node(2, NodeState::Ready, Some(place(77, addr(2)))),
            node(4, NodeState::Down, Some(place(4, addr(4)))),
        ];
        let expected = [(id(1), Some(place(1, addr(1)))), (id(2), Some(place(2, addr(2)))), (id(4), None)];
        assert_eq!(corrected(&nodes), expected);
    }

    #[test]
    fn a_node_that_left_is_not_put_on_record_again() {
        assert_eq!(corrected(&[node(1, NodeState::Disconnected, None)]), []);
    }

    #[test]
    fn who_is_in_raft_counts_before_it_is_on_record() {
        let state = crate::leader::testing::with_managers(&[1]);
        let status = crate::leader::testing::status(&[1, 2]);
        let counted = members(&status, &state).into_iter().map(|peer| peer.node);
        assert!(counted.eq([1, 2].map(crate::leader::testing::node_id)));
    }
}
