//! Who is on the roster, who comes and goes, and what foca is told of them. Must not know why anybody is suspected.

use super::{Due, Gossip};
use crate::effect::Effect;
use crate::effects::Effects;
use crate::inner::Name;
use crate::known::ME;
use crate::roster::{Roster, Slot};
use alloc::sync::Arc;
use alloc::vec::Vec;
use foca::{Member, State, Timer};
use rand::RngExt;

/// The dead that are asked again at a time.
const ASKED_AGAIN: usize = 2;

impl Gossip {
    /// Who belongs from now on, made of the roster before. Who is new counts as alive until it is found otherwise.
    pub fn set_roster(&mut self, now: u64, roster: &Arc<Roster>) -> Vec<Effect> {
        self.see(now);
        let before = core::mem::replace(&mut self.known.roster, roster.clone());
        let gone: Vec<_> = before.numbers().filter(|(number, _)| roster.slot(number).is_none()).collect();
        let mut effects = Effects::default();
        gone.into_iter().for_each(|(_, slot)| self.leave(slot, &before, &mut effects));
        self.held.grow(roster.slots());
        let is_new = |slot: &Slot| before.member(*slot).is_none();
        let new: Vec<Slot> = self.known.others().map(|(_, slot)| slot).filter(is_new).collect();
        self.unmet += new.len();
        let _ = self.foca.set_config(self.settings.foca(roster.members().max(1)));
        let new = new.into_iter().map(|slot| Member::alive(Name { slot, life: 0 }));
        let _ = self.foca.apply_many(new, false, &mut effects);
        if !self.knows_most() {
            self.hurry();
        }
        self.settle(effects)
    }

    fn leave(&mut self, slot: Slot, before: &Roster, effects: &mut Effects) {
        let held = self.held.of(slot).unwrap_or_default();
        let name = Name { slot, life: held.life };
        let _ = self.foca.apply_many(core::iter::once(Member::down(name)), false, &mut *effects);
        let _ = self.foca.handle_timer(Timer::RemoveDown(name), &mut *effects);
        // What foca says of it in `effects` is about nobody any more.
        effects.notes.clear();
        self.clear(slot);
        if let Some(member) = before.member(slot) {
            self.suspicions.forget(member.number);
        }
        self.shown.remove(&slot);
        self.touched.remove(&slot);
        self.down.remove(&slot);
        if let Some(key) = self.doubted.remove(&slot) {
            self.timers.remove(&key);
        }
        self.unmet = self.unmet.saturating_sub(usize::from(held.life == 0));
    }

    /// News for foca, unless it is none.
    pub(super) fn tell(&mut self, news: Member<Name>, passed_on: bool, effects: &mut Effects) {
        if news.id().slot == ME || self.held.is_news(&news) {
            self.held.note(&news);
            let _ = self.foca.apply_many(core::iter::once(news), passed_on, &mut *effects);
        }
    }

    /// Something was heard of one for the first time, or of another life of it.
    pub(super) fn meet(&mut self, before: &Name, name: &Name) {
        if let Some(member) = self.known.member(name.slot).filter(|_| before.life == 0) {
            self.unmet = self.unmet.saturating_sub(1);
            self.out.push(Effect::Met { of: member.number });
        }
    }

    /// One was declared dead.
    pub(super) fn bury(&mut self, name: Name) {
        if self.known.member(name.slot).is_some() {
            let incarnation = self.held.of(name.slot).map_or(0, |held| held.incarnation);
            self.held.note(&Member::new(name, incarnation, State::Down));
            self.clear(name.slot);
            self.down.insert(name.slot);
            self.touched.insert(name.slot);
        }
    }

    pub(super) fn ask_again(&mut self, effects: &mut Effects) {
        for _ in 0..ASKED_AGAIN.min(self.down.len()) {
            let at = self.rng.random_range(0..self.down.len());
            let slot = self.down.iter().nth(at).copied();
            if let Some((slot, held)) = slot.and_then(|slot| Some((slot, self.held.of(slot)?))) {
                let _ = self.foca.announce(Name { slot, life: held.life }, &mut *effects);
            }
        }
        self.arm(self.settings.again_ms, Due::Again);
    }
}
