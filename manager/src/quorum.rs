//! What the cluster of managers can bear, from who votes and who is heard.
//! Knows: counting majorities. Must not know: Raft, RPCs.

use swarm_model::NodeId;
use swarm_proto::v1;

/// The managers as one of them sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    pub voters: u32,
    pub reachable: u32,
    pub leader: Option<NodeId>,
    pub term: u64,
    /// 0: it has just started, and does not know yet how far it was.
    pub applied: u64,
}

impl Quorum {
    /// How many more of the reachable managers may be lost before nothing can be decided.
    pub fn survives(&self) -> u32 {
        self.reachable.saturating_sub(majority(self.voters))
    }
}

/// The votes a decision needs among so many voters.
pub fn majority(voters: u32) -> u32 {
    voters / 2 + 1
}

/// Whether the others still decide after one voter of these has gone. `reachable` counts the one that goes, if it is.
pub fn may_lose_one(voters: u32, others_reachable: u32) -> bool {
    voters > 1 && others_reachable >= majority(voters - 1)
}

impl From<&Quorum> for v1::Quorum {
    fn from(quorum: &Quorum) -> Self {
        Self {
            managers: quorum.voters,
            reachable: quorum.reachable,
            survives: quorum.survives(),
            leader: quorum.leader.map(|node| node.to_string()).unwrap_or_default(),
            term: quorum.term,
            applied: quorum.applied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survives(voters: u32, reachable: u32) -> u32 {
        Quorum { voters, reachable, leader: None, term: 1, applied: 1 }.survives()
    }

    #[test]
    fn losses_that_can_be_borne() {
        assert_eq!([survives(1, 1), survives(2, 2), survives(3, 3), survives(5, 5)], [0, 0, 1, 2]);
        assert_eq!([survives(3, 2), survives(3, 1), survives(5, 4)], [0, 0, 1]);
    }

    #[test]
    fn the_last_manager_and_one_the_rest_cannot_do_without_may_not_go() {
        assert!(!may_lose_one(1, 0));
        assert!(may_lose_one(2, 1));
        assert!(may_lose_one(3, 2));
        assert!(!may_lose_one(3, 1));
        assert!(!may_lose_one(4, 1));
    }
}
