//! Who belongs, as the managers say. Inside, a member is its slot: a tenth of its id and address, and foca keeps many.

use crate::frame::Number;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

pub(crate) type Slot = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub number: Number,
    pub addr: SocketAddr,
}

/// A slot is not given out again: news of who had it may still be on its way.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    slots: Vec<Option<Member>>,
    by_number: BTreeMap<Number, Slot>,
}

impl Roster {
    pub(crate) fn slot(&self, number: &Number) -> Option<Slot> {
        self.by_number.get(number).copied()
    }

    pub(crate) fn member(&self, slot: Slot) -> Option<&Member> {
        self.slots.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = (Number, Slot)> {
        self.by_number.iter().map(|(number, slot)| (*number, *slot))
    }

    /// The slot, and whether it is a new one.
    pub(crate) fn put(&mut self, member: Member) -> Option<(Slot, bool)> {
        let known = self.slot(&member.number);
        let slot = known.or_else(|| Slot::try_from(self.slots.len()).ok())?;
        match self.slots.get_mut(usize::try_from(slot).ok()?) {
            Some(place) => *place = Some(member),
            None => self.slots.push(Some(member)),
        }
        self.by_number.insert(member.number, slot);
        Some((slot, known.is_none()))
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        let place = usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot));
        if let Some(member) = place.and_then(Option::take) {
            self.by_number.remove(&member.number);
        }
    }
}
