//! Where managers said themselves that they are found, beside what the record says. Pure; bounded by the managers on
//! record, which `keep_only` is told. Must not know: how anybody is dialled.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use swarm_model::NodeId;

/// Dials in a row that the address on record won, after which the one in the book is taken for dead.
const MISSES: u32 = 8;

/// One manager's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whereabouts {
    pub addr: SocketAddr,
    /// Counted by the manager itself: the greater one is the later.
    pub moves: u64,
}

#[derive(Debug, Default)]
pub struct AddressBook {
    entries: BTreeMap<NodeId, Entry>,
    /// Where others said that they are. Nobody vouches for it before the manager itself has answered there.
    hints: BTreeMap<NodeId, SocketAddr>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    said: Whereabouts,
    misses: u32,
}

impl AddressBook {
    /// Takes a manager's word; an earlier one than the one known counts for nothing. True: the address is another now.
    pub fn note(&mut self, node: NodeId, said: Whereabouts) -> bool {
        match self.entries.get(&node) {
            Some(known) if said.moves < known.said.moves => false,
            known => {
                let moved = known.is_none_or(|known| known.said.addr != said.addr);
                self.entries.insert(node, Entry { said, misses: 0 });
                self.hints.remove(&node);
                moved
            }
        }
    }

    /// Takes another's word for where a manager is: one more address to look for it at. True: it is a new one.
    pub fn hint(&mut self, node: NodeId, said: Whereabouts) -> bool {
        let old = |known: Whereabouts| known.addr == said.addr || said.moves < known.moves;
        !self.said(node).is_some_and(old) && self.hints.insert(node, said.addr) != Some(said.addr)
    }

    /// Whether this word would change anything.
    pub fn is_news(&self, node: NodeId, said: Whereabouts) -> bool {
        self.entries.get(&node).is_none_or(|known| said.moves >= known.said.moves && known.said != said)
    }

    pub fn said(&self, node: NodeId) -> Option<Whereabouts> {
        self.entries.get(&node).map(|entry| entry.said)
    }

    /// Where to try, all at once: the record may be behind, or the book.
    pub fn candidates(&self, node: NodeId, recorded: SocketAddr) -> Vec<SocketAddr> {
        let mut all: Vec<SocketAddr> = self.said(node).map(|said| said.addr).into_iter().collect();
        for addr in [Some(recorded), self.hints.get(&node).copied()].into_iter().flatten() {
            if !all.contains(&addr) {
                all.push(addr);
            }
        }
        all
    }

    /// It answered there first. What loses again and again is forgotten.
    pub fn answered(&mut self, node: NodeId, at: SocketAddr) {
        let Some(entry) = self.entries.get_mut(&node) else { return };
        entry.misses = if entry.said.addr == at { 0 } else { entry.misses + 1 };
        if entry.misses >= MISSES {
            self.entries.remove(&node);
        }
    }

    /// Forgets who is no manager any more.
    pub fn keep_only(&mut self, is_manager: impl Fn(&NodeId) -> bool) {
        self.entries.retain(|node, _| is_manager(node));
        self.hints.retain(|node, _| is_manager(node));
    }

    pub fn all(&self) -> Vec<(NodeId, Whereabouts)> {
        self.entries.iter().map(|(node, entry)| (*node, entry.said)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_random([n; 16])
    }

    fn at(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 2377))
    }

    fn said(n: u8, moves: u64) -> Whereabouts {
        Whereabouts { addr: at(n), moves }
    }

    #[test]
    fn a_managers_own_word_comes_before_the_record_which_is_tried_too() {
        let mut book = AddressBook::default();
        assert_eq!(book.candidates(node(1), at(1)), [at(1)]);
        assert!(book.note(node(1), said(7, 1)));
        assert!(!book.note(node(1), said(7, 1)));
        assert_eq!(book.candidates(node(1), at(1)), [at(7), at(1)]);
        assert_eq!(book.candidates(node(1), at(7)), [at(7)]);
        assert_eq!(book.candidates(node(2), at(2)), [at(2)]);
    }

    #[test]
    fn what_others_say_of_a_manager_is_tried_and_never_taken_for_its_word() {
        let mut book = AddressBook::default();
        assert!(book.note(node(1), said(7, 1)));
        let most = said(9, u64::MAX);
        assert!(book.hint(node(1), most) && !book.hint(node(1), most) && !book.hint(node(1), said(8, 0)));
        assert_eq!(book.candidates(node(1), at(1)), [at(7), at(1), at(9)]);
        assert_eq!((book.said(node(1)), book.all()), (Some(said(7, 1)), vec![(node(1), said(7, 1))]));
        // Its own word ends what was said of it, however little it has moved.
        assert!(book.note(node(1), said(9, 2)));
        assert_eq!(book.candidates(node(1), at(9)), [at(9)]);
        assert!(!book.hint(node(1), most), "that is known");
        book.hint(node(2), said(2, 0));
        book.keep_only(|_| false);
        assert_eq!(book.candidates(node(2), at(1)), [at(1)]);
    }

    #[test]
    fn what_loses_again_and_again_is_forgotten() {
        let mut book = AddressBook::default();
        book.note(node(1), said(7, 1));
        (1..MISSES).for_each(|_| book.answered(node(1), at(1)));
        book.answered(node(1), at(7));
        (1..MISSES).for_each(|_| book.answered(node(1), at(1)));
        assert_eq!(book.said(node(1)), Some(said(7, 1)));
        book.answered(node(1), at(1));
        assert_eq!(book.said(node(1)), None);
        book.note(node(2), said(2, 0));
        book.keep_only(|id| *id != node(2));
        assert_eq!(book.all(), []);
    }

    proptest! {
        /// Whatever way words travel, the last move wins.
        #[test]
        fn the_order_of_hearing_does_not_matter(mut words in prop::collection::vec((0u8..9, 0u64..9), 1..20)) {
            // A manager says one address for each count of its moves.
            words.sort_unstable();
            words.dedup_by_key(|(_, moves)| *moves);
            let latest = words.iter().max_by_key(|(_, moves)| *moves).copied();
            let mut one: std::collections::BTreeMap<u64, u8> = Default::default();
            words.iter().for_each(|(n, moves)| { one.insert(*moves, *n); });
            let mut book = AddressBook::default();
            for (n, moves) in words.iter().rev().chain(&words) {
                if one[moves] == *n { book.note(node(1), said(*n, *moves)); }
            }
            let (_, moves) = latest.unwrap();
            prop_assert_eq!(book.said(node(1)), Some(said(one[&moves], moves)));
        }
    }
}
