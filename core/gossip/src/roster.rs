//! Who belongs, as the managers say. Inside, a member is its slot: a tenth of its id and address, and foca keeps many.
//! Must not know which of them is this one: members of one process may share a roster.

use crate::frame::Number;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;

pub(crate) type Slot = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub number: Number,
    pub addr: SocketAddr,
}

/// A slot is not given out again: news of who had it may still be on its way.
#[derive(Debug, Default, Clone)]
pub struct Roster {
    slots: Vec<Option<Member>>,
    by_number: BTreeMap<Number, Slot>,
}

impl Roster {
    /// The roster that comes after this one: who stays keeps its slot.
    #[must_use]
    pub fn then(&self, members: &[(Number, SocketAddr)]) -> Self {
        let mut next = self.clone();
        let wanted: BTreeSet<Number> = members.iter().map(|(number, _)| *number).collect();
        let gone: Vec<Slot> =
            self.numbers().filter(|(number, _)| !wanted.contains(number)).map(|(_, slot)| slot).collect();
        gone.into_iter().for_each(|slot| next.remove(slot));
        members.iter().for_each(|(number, addr)| next.put(Member { number: *number, addr: *addr }));
        next
    }

    pub(crate) fn slot(&self, number: &Number) -> Option<Slot> {
        self.by_number.get(number).copied()
    }

    pub(crate) fn member(&self, slot: Slot) -> Option<&Member> {
        self.slots.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    /// In the order of their numbers, which is the same everywhere.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (Number, Slot)> {
        self.by_number.iter().map(|(number, slot)| (*number, *slot))
    }

    /// How many are on it.
    pub fn members(&self) -> usize {
        self.by_number.len()
    }

    /// Slots there have been.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    fn put(&mut self, member: Member) {
        let known = self.slot(&member.number);
        let Some(slot) = known.or_else(|| Slot::try_from(self.slots.len()).ok()) else { return };
        match usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot)) {
            Some(place) => *place = Some(member),
            None => self.slots.push(Some(member)),
        }
        self.by_number.insert(member.number, slot);
    }

    fn remove(&mut self, slot: Slot) {
        let place = usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot));
        if let Some(member) = place.and_then(Option::take) {
            self.by_number.remove(&member.number);
        }
    }
}
