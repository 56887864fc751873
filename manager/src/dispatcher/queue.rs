//! What one session still has to be told: the changes since what it was sent last, up to a bound.
//! Knows: the chain of revisions. Must not know: streams, locks, how changes are derived.

use swarm_model::{Assignment, Change, Revision};

/// Changes kept for a session that does not read. One more and it starts again from the whole, which is bounded by
/// what the node has, not by how long it was slow.
pub const MAX_CHANGES: usize = 4096;

#[derive(Debug)]
pub struct Queue {
    /// What the session holds once it has taken everything sent so far.
    sent: Revision,
    results_in: Revision,
    changes: Vec<Change>,
    overflown: bool,
}

/// What to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Nothing,
    Incremental(Box<Assignment>),
    /// Too much was missed: derive the whole and go on from there with [`Queue::starting_at`].
    StartOver,
}

impl Queue {
    /// For a session that has just been given the whole at this revision.
    pub fn starting_at(revision: Revision) -> Self {
        Self { sent: revision, results_in: revision, changes: Vec::new(), overflown: false }
    }

    /// Takes what the entry at `index` changes for this node. Indexes come in order; none without changes comes.
    pub fn push(&mut self, index: Revision, changes: Vec<Change>) {
        if self.overflown || changes.is_empty() || index <= self.sent {
            return;
        }
        if self.changes.len() + changes.len() > MAX_CHANGES {
            return self.overflow();
        }
        self.changes.extend(changes);
        self.results_in = index;
    }

    /// Gives up on what is waiting: only the whole helps.
    pub fn overflow(&mut self) {
        self.overflown = true;
        self.changes = Vec::new();
    }

    /// Everything waiting as one message.
    pub fn take(&mut self) -> Next {
        if self.overflown {
            return Next::StartOver;
        }
        if self.changes.is_empty() {
            return Next::Nothing;
        }
        let (applies_to, results_in) = (self.sent, self.results_in);
        self.sent = results_in;
        let changes = std::mem::take(&mut self.changes);
        Next::Incremental(Box::new(Assignment::Incremental { applies_to, results_in, changes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use swarm_model::{Assigned, NodeId};

    fn drop_peer(number: u8) -> Change {
        Change::DropPeer(NodeId::from_random([number; 16]))
    }

    proptest! {
        /// Whatever the pace of reader and writer, the messages chain and nothing is skipped.
        #[test]
        fn messages_chain_without_gaps(steps in proptest::collection::vec((0u8..4, any::<bool>()), 1..200)) {
            let mut queue = Queue::starting_at(10);
            let mut held = Assigned { revision: 10, ..Assigned::default() };
            let (mut index, mut pushed, mut taken) = (10, 0, 0);
            for (count, read) in steps {
                index += 1;
                queue.push(index, (0..count).map(drop_peer).collect());
                pushed += usize::from(count);
                if read && let Next::Incremental(message) = queue.take() {
                    if let Assignment::Incremental { changes, .. } = &*message {
                        taken += changes.len();
                    }
                    prop_assert!(held.take(*message).is_ok());
                    prop_assert_eq!(taken, pushed);
                }
            }
        }
    }

    #[test]
    fn a_reader_that_is_too_slow_starts_over_and_costs_no_memory_until_then() {
        let mut queue = Queue::starting_at(1);
        for index in 2..(MAX_CHANGES as u64 + 100) {
            queue.push(index, vec![drop_peer(1)]);
        }
        assert_eq!(queue.take(), Next::StartOver);
        assert!(queue.changes.capacity() == 0);
        let mut queue = Queue::starting_at(90_000);
        queue.push(89_999, vec![drop_peer(1)]);
        assert_eq!(queue.take(), Next::Nothing);
    }
}
