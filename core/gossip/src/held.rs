//! What foca holds of each member, kept beside it where a slot finds it at once: foca looks through all of them for each
//! piece of news, and most of what arrives is known already. Must follow foca's order of news exactly.

use crate::inner::Name;
use crate::roster::Slot;
use alloc::vec::Vec;
use foca::{Member, State};

/// Life 0: only that it is on the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Held {
    pub life: u32,
    pub incarnation: u16,
    suspect: bool,
    down: bool,
}

impl Held {
    fn of(member: &Member<Name>) -> Self {
        Self {
            life: member.id().life,
            incarnation: member.incarnation(),
            suspect: member.state() == State::Suspect,
            down: member.state() == State::Down,
        }
    }

    /// Of an end the incarnation says nothing: see `fingerprint`.
    pub(crate) fn is_of(&self, member: &Member<Name>) -> bool {
        let held = Self::of(member);
        *self == held || (self.life, self.down, held.down) == (held.life, true, true)
    }

    /// A later life; of one life its end, which is final; before that the later incarnation, and a suspicion of the same.
    fn beats(&self, other: &Self) -> bool {
        let of_life = |held: &Self| (held.incarnation, held.suspect);
        match (self.life.cmp(&other.life), self.down, other.down) {
            (order, ..) if order.is_ne() => order.is_gt(),
            (_, _, true) => false,
            (_, true, false) => true,
            (_, false, false) => of_life(self) > of_life(other),
        }
    }

    pub(crate) fn state(&self) -> State {
        match (self.down, self.suspect) {
            (true, _) => State::Down,
            (false, true) => State::Suspect,
            (false, false) => State::Alive,
        }
    }

    /// Of an end the incarnation says nothing: whoever heard of it later may have another.
    pub(crate) fn fingerprint(&self) -> u64 {
        let incarnation = if self.down { 0 } else { self.incarnation };
        (u64::from(self.life) << 32)
            | (u64::from(incarnation) << 8)
            | u64::from(u8::from(self.down) << 1 | u8::from(self.suspect && !self.down))
    }
}

#[derive(Debug, Default)]
pub(crate) struct AllHeld(Vec<Held>);

impl AllHeld {
    /// Room for so many slots. A slot that is new holds nothing.
    pub(crate) fn grow(&mut self, slots: usize) {
        if slots > self.0.len() {
            self.0.resize(slots, Held::default());
        }
    }

    pub(crate) fn of(&self, slot: Slot) -> Option<Held> {
        self.0.get(usize::try_from(slot).ok()?).copied()
    }

    /// Whether it would change anything.
    pub(crate) fn is_news(&self, member: &Member<Name>) -> bool {
        self.of(member.id().slot).is_some_and(|held| Held::of(member).beats(&held))
    }

    /// Foca has been told.
    pub(crate) fn note(&mut self, member: &Member<Name>) {
        let held = Held::of(member);
        let place = usize::try_from(member.id().slot).ok().and_then(|slot| self.0.get_mut(slot));
        if let Some(place) = place.filter(|place| held.beats(place)) {
            *place = held;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SWIM, section 4.2, and a later life over all of an earlier one.
    #[test]
    fn news_beats_what_came_before_it_and_nothing_else() {
        let held =
            |life, incarnation, state| Held::of(&Member::new(Name { slot: 0, life }, incarnation, state));
        let rising = [
            held(0, 0, State::Alive),
            held(1, 0, State::Alive),
            held(1, 0, State::Suspect),
            held(1, 1, State::Alive),
            held(1, 1, State::Suspect),
            held(1, 0, State::Down),
            held(2, 0, State::Alive),
        ];
        for (at, later) in rising.iter().enumerate() {
            assert!(rising.iter().take(at).all(|earlier| later.beats(earlier)), "{later:?}");
            assert!(rising.iter().skip(at).all(|other| !later.beats(other)), "{later:?}");
        }
        let (early, late) = (held(1, 0, State::Down), held(1, 9, State::Down));
        assert!(!early.beats(&late) && !late.beats(&early));
        assert_eq!(early.fingerprint(), late.fingerprint(), "an end is an end");
    }
}
