//! Whom this member and others suspect, and how long those have. Must not know what is sent of it.

use super::{Due, Gossip};
use crate::effect::Effect;
use crate::effects::Effects;
use crate::inner::Name;
use crate::known::ME;
use crate::message::{Accusation, Named};
use crate::roster::Slot;
use foca::{Member, State, Timer};

impl Gossip {
    /// This member has probed one in vain, itself and through others: its time runs from now on, if it does not already.
    pub(super) fn suspect(&mut self, name: Name, incarnation: u16, timer: Timer<Name>) -> Option<Slot> {
        self.held.note(&Member::new(name, incarnation, State::Suspect));
        self.look_again(name.slot);
        let now = self.now;
        let suspect = self.suspicions.by_slot.get_mut(&name.slot)?;
        if suspect.timer.is_some() || (suspect.life, suspect.incarnation) != (name.life, incarnation) {
            return None;
        }
        suspect.since = Some(now);
        let key = self.arm(0, Due::Foca(timer));
        self.suspicions.by_slot.get_mut(&name.slot)?.timer = Some(key);
        self.accuse(name.slot, ME, incarnation);
        if let Some(member) = self.known.member(name.slot).copied() {
            self.out.push(Effect::Unanswered { of: member.number });
            // Only its datagrams may be lost: on a stream it can still say that it is there.
            self.exchange_with(&member);
        }
        Some(name.slot)
    }

    /// What foca thinks of it is what counts.
    pub(super) fn look_again(&mut self, slot: Slot) {
        match self.held.of(slot).filter(|held| held.state() == State::Suspect) {
            Some(held) => {
                let timer = self.suspicions.by_slot.get(&slot).and_then(|suspect| suspect.timer);
                let suspect = self.suspicions.of(slot, held.life, held.incarnation);
                if let (Some(key), None) = (timer, suspect.timer) {
                    self.timers.remove(&key);
                }
                self.touched.insert(slot);
            }
            None => self.clear(slot),
        }
    }

    pub(super) fn clear(&mut self, slot: Slot) {
        if let Some(suspect) = self.suspicions.by_slot.remove(&slot) {
            if let Some(key) = suspect.timer {
                self.timers.remove(&key);
            }
            if let Some(member) = self.known.member(slot) {
                self.suspicions.forget(member.number);
            }
            self.touched.insert(slot);
        }
    }

    /// Another says that it had no answer from one that is suspect here too, or is now.
    pub(super) fn hear(&mut self, accusation: &Accusation, effects: &mut Effects) {
        let (Some(target), Some(accuser)) =
            (self.known.other(&accusation.target.number), self.known.other(&accusation.accuser))
        else {
            return;
        };
        let life = self.held.of(target).map(|held| held.life);
        if target == accuser || life != Some(accusation.target.life) {
            return;
        }
        let name = Name { slot: target, life: accusation.target.life };
        self.tell(Member::new(name, accusation.incarnation, State::Suspect), true, effects);
        self.look_again(target);
        self.accuse(target, accuser, accusation.incarnation);
    }

    /// Counts an accuser, as long as one more makes a difference, and passes it on.
    fn accuse(&mut self, target: Slot, accuser: Slot, incarnation: u16) {
        let members = self.foca.num_members() + 1;
        let most = self.settings.confirmations(members) + 1;
        let Some(suspect) = self.suspicions.by_slot.get_mut(&target) else { return };
        if suspect.incarnation != incarnation || suspect.accusers.len() >= most && accuser != ME {
            return;
        }
        let (life, new) = (suspect.life, suspect.accusers.insert(accuser));
        let number = |slot| self.known.member(slot).map(|member| member.number);
        if let (true, false, Some(number), Some(accuser)) =
            (new, self.settings.is_plain(), number(target), number(accuser))
        {
            let target = Named { number, life };
            self.suspicions
                .tell(Accusation { target, incarnation, accuser }, self.settings.transmissions(members));
        }
        self.hasten(target, members);
    }

    /// The time a suspect has, now that so many say the same.
    fn hasten(&mut self, slot: Slot, members: usize) {
        let Some(suspect) = self.suspicions.by_slot.get_mut(&slot) else { return };
        let (Some(since), Some(key)) = (suspect.since, suspect.timer) else { return };
        let others = suspect.accusers.iter().filter(|slot| **slot != ME).count();
        let due = since.saturating_add(self.settings.suspicion_ms(members, others));
        if let Some(timer) = self.timers.remove(&key) {
            suspect.timer = Some((due, key.1));
            self.timers.insert((due, key.1), timer);
        }
    }

    /// Another takes one for dead that is alive here: whoever is right, it has the longest time to say so itself.
    pub(super) fn doubt(&mut self, name: Name, incarnation: u16, effects: &mut Effects) {
        self.tell(Member::new(name, incarnation, State::Suspect), true, effects);
        self.look_again(name.slot);
        let longest = self.settings.suspicion_ms(self.foca.num_members() + 1, 0);
        let key = self.arm(longest, Due::Expire(name, incarnation));
        // One at a time for each, however often others say and take back that it is dead.
        if let Some(earlier) = self.doubted.insert(name.slot, key) {
            self.timers.remove(&earlier);
        }
    }

    pub(super) fn expire(&mut self, name: Name, incarnation: u16, effects: &mut Effects) {
        self.doubted.remove(&name.slot);
        let held = self.held.of(name.slot);
        let same = held.is_some_and(|held| {
            held.state() == State::Suspect && (held.life, held.incarnation) == (name.life, incarnation)
        });
        if same && self.known.member(name.slot).is_some() {
            self.tell(Member::new(name, incarnation, State::Down), true, effects);
        }
    }
}
