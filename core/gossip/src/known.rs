//! The roster as one member sees it: it is on it itself, whoever made it. Must not know what is thought of anybody.

use crate::frame::Number;
use crate::roster::{Member, Roster, Slot};
use alloc::sync::Arc;
use core::net::SocketAddr;

/// This member's own slot, whatever the roster says.
pub(crate) const ME: Slot = Slot::MAX;

pub(crate) struct Known {
    me: Member,
    pub(crate) roster: Arc<Roster>,
}

impl Known {
    pub(crate) fn new(number: Number, addr: SocketAddr) -> Self {
        Self { me: Member { number, addr }, roster: Arc::default() }
    }

    pub(crate) fn slot(&self, number: &Number) -> Option<Slot> {
        if *number == self.me.number { Some(ME) } else { self.roster.slot(number) }
    }

    /// Of another.
    pub(crate) fn other(&self, number: &Number) -> Option<Slot> {
        self.slot(number).filter(|slot| *slot != ME)
    }

    pub(crate) fn member(&self, slot: Slot) -> Option<&Member> {
        if slot == ME { Some(&self.me) } else { self.roster.member(slot) }
    }

    /// This member among them, in the order of their numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Number, Slot)> {
        let me = self.me.number;
        self.roster.numbers().map(move |(number, slot)| (number, if number == me { ME } else { slot }))
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = (Number, Slot)> {
        self.all().filter(|(_, slot)| *slot != ME)
    }
}
