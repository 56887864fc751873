//! Who leads, in this manager's own log: whoever reads it later looks for exactly that.
//! Knows: what a change of Raft's status means. Must not know: why a leader is lost beyond what Raft says.

use crate::leadership::{Leader, leader};
use crate::seat::Seat;
use std::sync::Arc;
use swarm_raft::{Member, Status};
use tokio_util::sync::CancellationToken;

/// Runs until stopped.
pub async fn tell_of_leaders(seat: Arc<Seat>, stop: CancellationToken) {
    let mut status = seat.raft.watch_status();
    let mut seen = Seen { leader: Leader::Nowhere, term: 0 };
    let work = async {
        loop {
            let now = Seen::of(&status.borrow_and_update());
            let name = |member: &Member| named(&seat, member);
            if let Some(said) = change(&seen, &now, name) {
                tracing::info!(term = now.term, "{said}");
            }
            seen = now;
            if status.changed().await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

fn named(seat: &Seat, member: &Member) -> String {
    let host = member
        .node
        .parse()
        .ok()
        .and_then(|id| seat.applied.read(|state| state.node(&id).map(|node| node.hostname.clone())));
    format!("{} ({})", host.as_deref().unwrap_or(&member.node), member.addr)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    leader: Leader,
    term: u64,
}

impl Seen {
    fn of(status: &Status) -> Self {
        Self { leader: leader(status), term: status.term }
    }
}

/// What there is to say. A follower hears of a new term before it hears of its leader: the term alone is no news.
fn change(before: &Seen, now: &Seen, name: impl Fn(&Member) -> String) -> Option<String> {
    let why = match now.term > before.term {
        true => "another manager asked for votes",
        false => "it hears no majority any more",
    };
    match (&before.leader, &now.leader) {
        (before, now) if before == now => None,
        (_, Leader::Here) => Some("this manager leads now".to_owned()),
        (Leader::Here, Leader::Nowhere) => Some(format!("this manager leads no more: {why}")),
        (Leader::Here, Leader::There(next)) => {
            Some(format!("this manager leads no more; the leader is {}", name(next)))
        }
        (Leader::There(last), Leader::Nowhere) => {
            Some(format!("the leader {} is lost: it was silent, or gave up", name(last)))
        }
        (Leader::Nowhere | Leader::There(_), Leader::There(next)) => {
            Some(format!("the leader is {}", name(next)))
        }
        (Leader::Nowhere, Leader::Nowhere) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(number: u8) -> Leader {
        Leader::There(Member { node: format!("n{number}"), addr: ([192, 0, 2, number], 2377).into() })
    }

    fn said(before: (Leader, u64), now: (Leader, u64)) -> Option<String> {
        let seen = |(leader, term)| Seen { leader, term };
        change(&seen(before), &seen(now), |member| member.node.clone())
    }

    #[test]
    fn a_leader_that_comes_or_goes_is_told_once() {
        use Leader::{Here, Nowhere};
        assert_eq!(said((Nowhere, 3), (Nowhere, 4)), None);
        assert_eq!(said((there(1), 3), (there(1), 3)), None);
        assert_eq!(said((Nowhere, 3), (there(1), 4)).as_deref(), Some("the leader is n1"));
        assert_eq!(said((there(1), 3), (there(2), 4)).as_deref(), Some("the leader is n2"));
        assert!(said((there(1), 3), (Nowhere, 3)).unwrap().starts_with("the leader n1 is lost"));
        assert_eq!(said((Nowhere, 3), (Here, 4)).as_deref(), Some("this manager leads now"));
        let lost = |term| said((Here, 4), (Nowhere, term)).unwrap();
        assert!(lost(4).contains("no majority") && lost(5).contains("votes"));
        assert!(said((Here, 4), (there(2), 5)).unwrap().contains("no more; the leader is n2"));
    }
}
