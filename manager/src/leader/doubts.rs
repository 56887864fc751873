//! What nodes say of others whom they asked by gossip, in vain: advice for whoever judges nodes, and nothing more.
//! Knows: who said what by its own session, and how long another manager's word of that counts. Must not know: who is
//! served, what is decided, clocks.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use swarm_model::NodeId;

/// One alone may lie, or be the one that is cut off.
const WITNESSES: usize = 2;
/// What another manager passed on, unless it says it again: it does with each of its rounds.
const COUNTS_FOR: Duration = Duration::from_secs(5);
/// Of what one manager passes on.
const MOST_PASSED_ON: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    pub by: NodeId,
    pub of: NodeId,
}

#[derive(Debug, Default)]
pub struct Doubts(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// From nodes with sessions here.
    here: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// From those with sessions at each other manager.
    elsewhere: BTreeMap<NodeId, (Instant, Vec<Doubt>)>,
}

impl Doubts {
    /// All that a node with a session here says now.
    pub fn hear(&self, by: NodeId, of: BTreeSet<NodeId>) {
        let mut heard = self.0.lock();
        match of.is_empty() {
            true => heard.here.remove(&by),
            false => heard.here.insert(by, of),
        };
    }

    /// Who has no session here any more is not heard here any more.
    pub fn forget(&self, by: NodeId) {
        self.0.lock().here.remove(&by);
    }

    /// All that another manager passes on now.
    pub fn pass_on(&self, manager: NodeId, mut doubts: Vec<Doubt>, now: Instant) {
        doubts.truncate(MOST_PASSED_ON);
        self.0.lock().elsewhere.insert(manager, (now, doubts));
    }

    /// What was heard here, to be passed on.
    pub fn here(&self) -> Vec<Doubt> {
        let heard = self.0.lock();
        let of_one = |(by, of): (&NodeId, &BTreeSet<NodeId>)| {
            let by = *by;
            of.iter().map(move |of| Doubt { by, of: *of }).collect::<Vec<_>>()
        };
        heard.here.iter().flat_map(of_one).take(MOST_PASSED_ON).collect()
    }

    /// Those whom enough others asked in vain.
    pub fn missing(&self, now: Instant) -> BTreeSet<NodeId> {
        let mut doubts = self.here();
        let mut heard = self.0.lock();
        heard.elsewhere.retain(|_, (said, _)| now.saturating_duration_since(*said) < COUNTS_FOR);
        doubts.extend(heard.elsewhere.values().flat_map(|(_, doubts)| doubts));
        drop(heard);
        let mut witnesses: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
        for Doubt { by, of } in doubts.into_iter().filter(|doubt| doubt.by != doubt.of) {
            witnesses.entry(of).or_default().insert(by);
        }
        witnesses.into_iter().filter(|(_, by)| by.len() >= WITNESSES).map(|(of, _)| of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_random([number; 16])
    }

    fn of(numbers: &[u8]) -> BTreeSet<NodeId> {
        numbers.iter().map(|number| node(*number)).collect()
    }

    #[test]
    fn one_alone_is_outvoted_however_often_and_wherever_it_says_so() {
        let (doubts, now) = (Doubts::default(), Instant::now());
        doubts.hear(node(1), of(&[2, 3, 4]));
        doubts.hear(node(3), of(&[3]));
        let again = Doubt { by: node(1), of: node(2) };
        doubts.pass_on(node(8), vec![again, again], now);
        assert_eq!(doubts.missing(now), of(&[]));
        doubts.hear(node(5), of(&[3]));
        assert_eq!(doubts.missing(now), of(&[3]));
    }

    #[test]
    fn what_was_taken_back_and_what_nobody_repeats_counts_no_more() {
        let (doubts, now) = (Doubts::default(), Instant::now());
        doubts.hear(node(1), of(&[4]));
        doubts.pass_on(node(8), vec![Doubt { by: node(2), of: node(4) }], now);
        assert_eq!(doubts.missing(now + COUNTS_FOR / 2), of(&[4]));
        assert_eq!(doubts.missing(now + COUNTS_FOR), of(&[]), "the other manager is silent");
        doubts.hear(node(2), of(&[4]));
        assert_eq!(doubts.missing(now), of(&[4]));
        doubts.hear(node(2), of(&[]));
        assert_eq!(doubts.missing(now), of(&[]), "it has an answer now");
        doubts.hear(node(2), of(&[4]));
        doubts.forget(node(1));
        assert_eq!(doubts.missing(now), of(&[]), "its session ended");
        assert_eq!(doubts.here(), [Doubt { by: node(2), of: node(4) }]);
    }
}
