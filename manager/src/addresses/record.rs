//! What managers said of their addresses becomes the record: the leader puts it into Raft's membership, and the record of
//! nodes follows that. Knows: what differs. Must not know: how it was heard.

use super::AddressBook;
use crate::leadership::{Leader, leader};
use crate::seat::Seat;
use std::net::SocketAddr;
use swarm_raft::{Member, Status};

/// On the leader, makes the members found elsewhere durable. Left alone while somebody joins or leaves. Its own address
/// counts once somebody has dialled it.
pub async fn settle(seat: &Seat, own_is_confirmed: bool) {
    let status = seat.raft.status();
    if leader(&status) != Leader::Here {
        return;
    }
    let Ok(_turn) = seat.members.try_lock() else { return };
    let own = own_is_confirmed.then(|| seat.addresses.own().addr);
    let moved = moved(&status, own, &seat.links.book());
    for (id, member) in moved {
        match seat.raft.update_member(id, member.clone()).await {
            Ok(()) => tracing::info!(raft_id = id, %member, "a manager is found elsewhere from now on"),
            Err(e) => {
                tracing::warn!(raft_id = id, %member, reason = %e, "a manager's new address is not recorded yet")
            }
        }
    }
}

/// The members whose address in Raft is another than the one they gave.
fn moved(status: &Status, own: Option<SocketAddr>, book: &AddressBook) -> Vec<(u64, Member)> {
    let members = status.voters.iter().chain(&status.learners);
    let moved = members.filter_map(|(id, member)| {
        let said = match *id == status.id {
            true => own?,
            false => book.said(member.node.parse().ok()?)?.addr,
        };
        (said != member.addr).then(|| (*id, Member { addr: said, ..member.clone() }))
    });
    moved.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Whereabouts;
    use super::*;
    use crate::leader::testing::{node_id, status};

    fn at(n: u8) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, n], 2377))
    }

    #[test]
    fn only_what_differs_is_changed_and_under_the_same_id() {
        let status = status(&[1, 2, 3]);
        let mut book = AddressBook::default();
        assert_eq!(moved(&status, None, &book), []);
        let same = status.voters[&3].addr;
        book.note(node_id(3), Whereabouts { addr: same, moves: 4 });
        book.note(node_id(2), Whereabouts { addr: at(2), moves: 1 });
        let found = moved(&status, Some(at(1)), &book);
        let expected = [(1, at(1)), (2, at(2))];
        assert_eq!(found.iter().map(|(id, m)| (*id, m.addr)).collect::<Vec<_>>(), expected);
        assert!(found.iter().all(|(id, m)| m.node == status.voters[id].node));
        // What a learner or another node says of itself is its own affair.
        book.note(node_id(9), Whereabouts { addr: at(9), moves: 1 });
        assert_eq!(moved(&status, None, &book).len(), 1);
    }
}
