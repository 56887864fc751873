//! Whether a node is there: by the gossip of this manager's own host, and by its session. Shown, and nothing more.
//! Knows: what of that this manager can tell, and what it cannot. Must not know: how gossip comes to its word.

use crate::api::reachability::Reachabilities;
use crate::seat::Seat;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{Node, NodeId, NodeState};
use swarm_proto::v1::{self, SessionStanding};
use swarm_state::State;
use swarm_state::losses::Presence;

/// What the gossip of this host says of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub hearing: v1::Hearing,
    /// Of its last answer.
    pub round_trip: Option<Duration>,
}

/// Asks the gossip of this host. Who is not in its answer may be anything.
pub type Ear = Arc<dyn Fn() -> BTreeMap<NodeId, Heard> + Send + Sync>;

/// The ear, once the host has one.
#[derive(Default)]
pub struct Hearsay(RwLock<Option<Ear>>);

impl Hearsay {
    pub fn listen(&self, ear: Ear) {
        *self.0.write() = Some(ear);
    }

    fn all(&self) -> BTreeMap<NodeId, Heard> {
        let ear = self.0.read().clone();
        ear.map(|ask| ask()).unwrap_or_default()
    }
}

/// All that one answer needs, asked for once.
pub struct Signs<'a> {
    me: NodeId,
    heard: BTreeMap<NodeId, Heard>,
    reachable: &'a Reachabilities,
}

impl<'a> Signs<'a> {
    pub fn new(seat: &Seat, reachable: &'a Reachabilities) -> Self {
        Self { me: seat.me().node, heard: seat.hearsay.all(), reachable }
    }

    pub fn of(&self, seat: &Seat, state: &State, node: &Node) -> v1::Liveness {
        let heard = self.heard.get(&node.id);
        let round_trip = heard.and_then(|heard| heard.round_trip);
        let hearing = match heard {
            _ if node.id == self.me => v1::Hearing::Itself,
            Some(heard) => heard.hearing,
            None => v1::Hearing::Unspecified,
        };
        let manager = state.session(&node.id).map(|session| session.manager);
        let holder = match manager {
            None => Holder::Nobody,
            Some(manager) if manager == self.me => Holder::Here { open: seat.applied.hub().holds(node.id) },
            Some(manager) => Holder::There { heard: self.hears(state, manager) },
        };
        let session = standing(node.status.state, holder);
        let held_by = manager.filter(|_| session == SessionStanding::Held);
        v1::Liveness {
            gossip: hearing.into(),
            // One that took no time was an answer all the same.
            round_trip_us: round_trip.map_or(0, |t| u64::try_from(t.as_micros()).unwrap_or(u64::MAX).max(1)),
            session: session.into(),
            session_manager: held_by.map(|manager| manager.to_string()).unwrap_or_default(),
        }
    }

    fn hears(&self, state: &State, manager: NodeId) -> bool {
        let raft_id = state.node(&manager).and_then(|node| Some(node.manager.as_ref()?.raft_id));
        raft_id.is_some_and(|id| self.reachable.presence(id) != Presence::Silent)
    }
}

/// Who has the session, as on record.
#[derive(Debug, Clone, Copy)]
enum Holder {
    Nobody,
    /// This manager, which knows whether it is open.
    Here {
        open: bool,
    },
    /// Another, which reports who is lost as long as it is heard.
    There {
        heard: bool,
    },
}

fn standing(state: NodeState, holder: Holder) -> SessionStanding {
    match (holder, state) {
        (Holder::Here { open: true }, _) => SessionStanding::Held,
        (Holder::Nobody | Holder::Here { open: false }, _) => SessionStanding::None,
        (Holder::There { heard: true }, NodeState::Ready) => SessionStanding::Held,
        (Holder::There { .. }, NodeState::Down | NodeState::Disconnected) => SessionStanding::None,
        (Holder::There { .. }, _) => SessionStanding::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_manager_cannot_tell_it_does_not_guess() {
        use SessionStanding::{Held, None, Unspecified};
        let (here, there) = (|open| Holder::Here { open }, |heard| Holder::There { heard });
        for (state, holder, expected) in [
            (NodeState::Ready, here(true), Held),
            (NodeState::Ready, here(false), None),
            (NodeState::Unknown, here(true), Held),
            (NodeState::Ready, there(true), Held),
            (NodeState::Ready, there(false), Unspecified),
            (NodeState::Unknown, there(true), Unspecified),
            (NodeState::Down, there(true), None),
            (NodeState::Down, Holder::Nobody, None),
        ] {
            assert_eq!(standing(state, holder), expected, "{state:?} {holder:?}");
        }
    }
}
