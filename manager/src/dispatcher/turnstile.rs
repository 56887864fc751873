//! How often one node may open a session here. A worker whose sessions end as soon as they begin (a gap in every one, a
//! daemon that dies at once) costs an entry in the log each time, and must not keep the managers busy. What an operator
//! makes of a node, as a manager of a worker, moves its session too, and does not count.
//! Knows: nodes and times. Must not know: sessions, clocks (the caller says what time it is).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use swarm_model::{NodeId, Revision};

/// Sessions a node may open here within `WITHIN`. One that loses its manager opens one; a daemon restarted by hand too.
const MOST: usize = 3;
const WITHIN: Duration = Duration::from_secs(8);
/// Nodes remembered. Beyond it those that have passed longest ago are forgotten, which lets them pass.
const MAX_NODES: usize = 10_000;

#[derive(Debug, Default)]
pub struct Turnstile {
    passed: BTreeMap<NodeId, Passes>,
}

/// When a node has passed since an operator changed it last.
#[derive(Debug, Default)]
struct Passes {
    changed: Revision,
    times: VecDeque<Instant>,
}

impl Turnstile {
    /// Lets the node pass, or says how long it must wait. Who is not let through makes its wait no longer by asking.
    /// `changed`: when an operator changed the node last, by the record.
    pub fn pass(&mut self, (node, changed): (NodeId, Revision), now: Instant) -> Result<(), TooOften> {
        if self.passed.len() >= MAX_NODES && !self.passed.contains_key(&node) {
            self.forget(now);
        }
        let passes = self.passed.entry(node).or_default();
        if passes.changed != changed {
            *passes = Passes { changed, times: VecDeque::new() };
        }
        let times = &mut passes.times;
        times.retain(|time| now.saturating_duration_since(*time) < WITHIN);
        match times.front() {
            Some(first) if times.len() >= MOST => {
                Err(TooOften { wait: WITHIN.saturating_sub(now.saturating_duration_since(*first)) })
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        let last = |passes: &Passes| passes.times.back().copied();
        self.passed.retain(|_, passes| {
            last(passes).is_some_and(|time| now.saturating_duration_since(time) < WITHIN)
        });
        let oldest = self.passed.iter().min_by_key(|(_, passes)| last(passes)).map(|(node, _)| *node);
        if let Some(node) = oldest.filter(|_| self.passed.len() >= MAX_NODES) {
            self.passed.remove(&node);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this node has opened {MOST} sessions here within {} s: the next one may begin in {} s, or at another manager",
    WITHIN.as_secs(),
    .wait.as_secs() + 1
)]
pub struct TooOften {
    wait: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32) -> NodeId {
        let mut random = [0; 16];
        random[..4].copy_from_slice(&number.to_be_bytes());
        NodeId::from_random(random)
    }

    #[test]
    fn s74_the_fourth_within_eight_seconds_waits_and_others_do_not() {
        let (mut turnstile, start) = (Turnstile::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..3 {
            turnstile.pass((node(1), 1), at(second)).unwrap();
        }
        let refused = turnstile.pass((node(1), 1), at(3)).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(5));
        assert!(refused.to_string().contains("3 sessions"), "{refused}");
        turnstile.pass((node(2), 1), at(3)).unwrap();
        turnstile.pass((node(1), 1), at(7)).unwrap_err();
        turnstile.pass((node(1), 1), at(8)).unwrap();
        turnstile.pass((node(1), 1), at(8)).unwrap_err();
    }

    /// Found by the benchmark: of ten promotions and demotions in a row one took six seconds, because the node's session
    /// moves with each of them.
    #[test]
    fn what_an_operator_makes_of_a_node_does_not_count() {
        let (mut turnstile, now) = (Turnstile::default(), Instant::now());
        for change in 1..20 {
            turnstile.pass((node(1), change), now).unwrap();
            turnstile.pass((node(1), change), now).unwrap();
        }
        turnstile.pass((node(1), 19), now).unwrap();
        turnstile.pass((node(1), 19), now).unwrap_err();
    }

    #[test]
    fn a_flood_of_nodes_is_bounded() {
        let (mut turnstile, now) = (Turnstile::default(), Instant::now());
        for number in 0..(MAX_NODES as u32 + 10) {
            turnstile.pass((node(number), 1), now).unwrap();
        }
        assert_eq!(turnstile.passed.len(), MAX_NODES);
    }
}
