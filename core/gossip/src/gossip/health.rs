//! Whether this member itself is slow: then it has the more patience with others. Must not know whom it suspects.

use super::Gossip;
use crate::effect::Effect;
use crate::inner::Name;
use crate::roster::Slot;
use foca::{Member, Message as Said, State};

/// A timer that fires later than this says that this member stood still, and the others did not.
const STOOD_STILL_MS: u64 = 200;
/// What has arrived meanwhile is looked at before anybody is judged.
const CATCH_UP_MS: u64 = 100;

/// The probe that is under way.
pub(super) struct Probe {
    pub slot: Slot,
    pub number: u8,
    pub answered: bool,
}

impl Gossip {
    /// Time never goes back; and what this member slept through counts for nobody, for it could not hear them.
    pub(super) fn see(&mut self, now: u64) {
        let mut now = now.saturating_sub(self.stood_still).max(self.now);
        if let Some(((due, _), _)) = self.timers.first_key_value()
            && !self.settings.is_plain()
            && now.saturating_sub(*due) > STOOD_STILL_MS
        {
            let behind = now - due + CATCH_UP_MS;
            self.stood_still += behind;
            now = now.saturating_sub(behind).max(self.now);
            self.aware(1);
        }
        self.now = now;
    }

    pub(super) fn aware(&mut self, by: i32) {
        self.awareness = self.awareness.saturating_add_signed(by).min(self.settings.most_awareness);
    }

    pub(super) fn judge_probe(&mut self) {
        match self.probe.take() {
            Some(probe) if probe.answered => self.aware(-1),
            Some(_) => self.aware(1),
            None => {}
        }
    }

    pub(super) fn note_answer(&mut self, said: &Said<Name>, src: Slot) {
        let Some(probe) = self.probe.as_mut().filter(|probe| !probe.answered) else { return };
        let (number, of) = match said {
            Said::Ack(number) => (*number, src),
            Said::ForwardedAck { origin, probe_number } => (*probe_number, origin.slot),
            _ => return,
        };
        if (number, of) == (probe.number, probe.slot) {
            probe.answered = true;
            if let (Said::Ack(_), Some(member)) = (said, self.known.member(of)) {
                self.out.push(Effect::Answer { of: member.number });
            }
        }
    }

    pub(super) fn note_suspicion_of_us(&mut self, member: &Member<Name>) {
        let of_us = member.id() == self.foca.identity() && member.state() == State::Suspect;
        if of_us && member.incarnation() >= self.unheard {
            self.unheard = member.incarnation().saturating_add(1);
            self.aware(1);
        }
    }
}
