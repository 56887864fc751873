//! Whom this member suspects, who else says so, and how long those have. Must not send anything.

use crate::frame::Number;
use crate::message::Accusation;
use crate::roster::Slot;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Accusations waiting to ride on a message.
const MOST_QUEUED: usize = 64;

/// What is known of one suspect, under one life and incarnation.
#[derive(Debug, Default)]
pub(crate) struct Suspect {
    pub life: u32,
    pub incarnation: u16,
    /// Who probed it and had no answer, this member among them.
    pub accusers: BTreeSet<Slot>,
    /// When this member found so itself, and the timer at whose end it declares it dead.
    pub since: Option<u64>,
    pub timer: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Suspicions {
    pub by_slot: BTreeMap<Slot, Suspect>,
    queue: Vec<(Accusation, u8)>,
}

impl Suspicions {
    /// The suspect under this life and incarnation; what was known under another is gone.
    pub(crate) fn of(&mut self, slot: Slot, life: u32, incarnation: u16) -> &mut Suspect {
        let suspect = self.by_slot.entry(slot).or_default();
        if (suspect.life, suspect.incarnation) != (life, incarnation) {
            *suspect = Suspect { life, incarnation, ..Suspect::default() };
        }
        suspect
    }

    pub(crate) fn tell(&mut self, accusation: Accusation, times: u8) {
        self.queue.retain(|(queued, _)| *queued != accusation);
        if self.queue.len() < MOST_QUEUED {
            self.queue.push((accusation, times));
        }
    }

    /// Those told least come first.
    pub(crate) fn riding(&mut self, most: usize) -> Vec<Accusation> {
        self.queue.sort_by_key(|(_, left)| core::cmp::Reverse(*left));
        let riding = self.queue.iter_mut().take(most).map(|(accusation, left)| {
            *left = left.saturating_sub(1);
            *accusation
        });
        let riding = riding.collect();
        self.queue.retain(|(_, left)| *left > 0);
        riding
    }

    pub(crate) fn forget(&mut self, target: Number) {
        self.queue.retain(|(accusation, _)| accusation.target.number != target);
    }
}
