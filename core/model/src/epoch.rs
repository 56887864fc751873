//! Which of two that call themselves the same cluster is the later one, and whether they are the same at all. Pure.
//!
//! Knows: what a recovery makes of an epoch. Must not know: who meets whom, and what is done about it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Bits of an epoch that hold what was drawn for it; the recoveries are counted above them.
const DRAWN_BITS: u32 = 32;
/// Epochs of the past that a lineage keeps, the latest. What lies before them is judged by its count.
pub const MOST_PAST: usize = 32;

/// The time between two recoveries, each of which leaves one manager of what was before. How many there have been, and
/// a number that was drawn at the last: two survivors that cannot see each other count the same.
///
/// One number, because managers of earlier releases count 0, 1, 2 and keep a number they are given. Not ordered: which of two
/// is later, their lineages say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    pub const fn from_u64(raw: u64) -> Self {
        Self(raw)
    }

    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Recoveries so far.
    pub const fn number(self) -> u64 {
        if self.is_plain() { self.0 } else { self.0 >> DRAWN_BITS }
    }

    /// Without anything drawn: the first of a cluster, or from an earlier release.
    const fn is_plain(self) -> bool {
        self.0 >> DRAWN_BITS == 0
    }

    /// `drawn`: 0 where the recovery was an earlier release's.
    fn next(self, drawn: u32) -> Self {
        match drawn {
            0 if self.is_plain() => Self(self.0 + 1),
            drawn => Self((self.number() + 1) << DRAWN_BITS | u64::from(drawn)),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_plain() {
            true => write!(f, "{}", self.0),
            false => write!(f, "{}-{:08x}", self.number(), self.0 as u32),
        }
    }
}

/// An epoch, and those it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    pub epoch: Epoch,
    /// The latest last; may lack all of them where a manager of an earlier release has kept the record.
    #[serde(default)]
    pub past: Vec<Epoch>,
}

/// What another lineage is, seen from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kin {
    /// It lives in the same epoch.
    Same,
    /// It came from this epoch: the cluster went on, without whoever is still here.
    Later,
    /// This epoch came from it.
    Past,
    /// Neither: both went on from one past, each without the other.
    Apart,
}

impl Lineage {
    /// What a recovery makes of it.
    pub fn follow(mut self, drawn: u32) -> Self {
        self.past.push(self.epoch);
        let surplus = self.past.len().saturating_sub(MOST_PAST);
        self.past.drain(..surplus);
        Self { epoch: self.epoch.next(drawn), past: self.past }
    }

    pub fn sees(&self, other: &Self) -> Kin {
        if other.epoch == self.epoch {
            Kin::Same
        } else if other.came_from(self.epoch) {
            Kin::Later
        } else if self.came_from(other.epoch) {
            Kin::Past
        } else {
            Kin::Apart
        }
    }

    /// Where the record does not reach, the count has to do.
    fn came_from(&self, epoch: Epoch) -> bool {
        let reaches = self.past.iter().any(|past| past.number() <= epoch.number());
        match reaches {
            true => self.past.contains(&epoch),
            false => self.epoch.number() > epoch.number(),
        }
    }

    /// Why the word of one at `other` counts for nothing with one who is here; `None`: it counts.
    pub fn refusal(&self, other: &Self) -> Option<String> {
        let (own, theirs) = (self.epoch, other.epoch);
        match self.sees(other) {
            Kin::Same | Kin::Later => None,
            Kin::Past => Some(format!(
                "it belongs to a past of this cluster: it is at epoch {theirs}, the cluster is at {own}"
            )),
            Kin::Apart => Some(format!(
                "it belongs to another branch of this cluster: it is at epoch {theirs}, this node is at {own}, and \
                 each went on without the other. {WAY_OUT}"
            )),
        }
    }
}

/// What an operator does about two branches.
pub const WAY_OUT: &str = "Decide which of the two is kept: on the other's managers run `swarmctl leave --force` and then \
                           `swarmctl join` with a token of the one that is kept, on its workers `swarmctl rejoin` with the \
                           address of a manager of that one";

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.epoch.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn first() -> Lineage {
        Lineage::default()
    }

    #[test]
    fn two_that_went_on_without_each_other_are_neither_the_same_nor_later() {
        let (a, b) = (first().follow(7), first().follow(9));
        assert_eq!((a.sees(&b), b.sees(&a)), (Kin::Apart, Kin::Apart));
        assert_eq!((first().sees(&a), a.sees(&first())), (Kin::Later, Kin::Past));
        // Counting further makes nobody the other's future.
        let twice = a.clone().follow(8);
        assert_eq!((b.sees(&twice), twice.sees(&b)), (Kin::Apart, Kin::Apart));
        assert_eq!((a.sees(&twice), first().sees(&twice)), (Kin::Later, Kin::Later));
        assert_eq!((a.epoch.to_string(), twice.epoch.number()), ("1-00000007".to_string(), 2));
        let said = a.refusal(&b).unwrap();
        for fact in ["epoch 1-00000009", "at 1-00000007", "leave --force"] {
            assert!(said.contains(fact), "{said}");
        }
    }

    #[test]
    fn epochs_of_earlier_releases_count_as_they_did() {
        let plain = |n| Lineage { epoch: Epoch::from_u64(n), past: vec![] };
        assert_eq!(first().follow(0).epoch, Epoch::from_u64(1));
        assert_eq!((plain(1).sees(&plain(1)), plain(1).sees(&plain(2))), (Kin::Same, Kin::Later));
        // A recovery by this release of a cluster that had one before.
        let now = plain(1).follow(5);
        assert_eq!(
            (now.epoch.number(), plain(1).sees(&now), plain(0).sees(&now)),
            (2, Kin::Later, Kin::Later)
        );
        // The record was kept by a manager that knew nothing of a past.
        let kept = Lineage { past: vec![], ..now.clone() };
        assert_eq!(
            (kept.sees(&now), plain(1).sees(&kept), kept.sees(&plain(0))),
            (Kin::Same, Kin::Later, Kin::Past)
        );
        assert_eq!(now.clone().follow(0).epoch.number(), 3);
    }

    #[test]
    fn a_long_past_is_bounded_and_still_the_past() {
        let mut now = first();
        for drawn in 1..100 {
            let next = now.clone().follow(drawn);
            assert_eq!(
                (now.sees(&next), next.sees(&now), first().sees(&next)),
                (Kin::Later, Kin::Past, Kin::Later)
            );
            now = next;
        }
        assert_eq!(now.past.len(), MOST_PAST);
    }
}
