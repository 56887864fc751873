//! What foca wants sent, as it goes over the wire. Must not know why it is sent.

use super::Gossip;
use super::health::Probe;
use crate::effect::Effect;
use crate::frame::MAX_MESSAGE;
use crate::inner;
use crate::message::{
    ACCUSATION_BYTES, Kind, MOST_BEFORE_NEWS, Message, Named, Standing, UPDATE_BYTES, Update,
};
use crate::roster::Member;
use alloc::vec::Vec;
use foca::Message as Said;

/// Accusations that ride on one message.
const MOST_RIDING: usize = 4;

impl Gossip {
    /// A packet of foca's.
    pub(super) fn send(&mut self, packet: &[u8]) {
        let Ok((header, members)) = inner::read(packet) else { return };
        let (Some(to), Some(kind)) =
            (self.known.member(header.dst.slot).copied(), self.known.kind(&header.message, &header.dst))
        else {
            return;
        };
        self.incarnation = header.src_incarnation;
        if let Said::Ping(number) = header.message {
            self.probe = Some(Probe { slot: header.dst.slot, number, answered: false });
            self.out.push(Effect::Probe { of: to.number });
        }
        let mut updates: Vec<Update> =
            members.iter().filter_map(|member| self.known.update(member)).collect();
        if matches!(kind, Kind::Ping(_)) && !updates.iter().any(|update| update.member.number == to.number) {
            updates.extend(self.warning(header.dst.slot, &to));
        }
        let room =
            MAX_MESSAGE.saturating_sub(MOST_BEFORE_NEWS + UPDATE_BYTES * updates.len()) / ACCUSATION_BYTES;
        let accusations = self.suspicions.riding(room.min(MOST_RIDING));
        let (life, incarnation) = (header.src.life, header.src_incarnation);
        let message = Message { kind, life, incarnation, updates, accusations };
        self.out.push(Effect::Send { to: to.number, addr: to.addr, message: message.encode() });
    }

    /// Whoever is suspect hears of it first from who asks it whether it is there.
    fn warning(&self, slot: u32, to: &Member) -> Option<Update> {
        let suspect = self.suspicions.by_slot.get(&slot).filter(|_| !self.settings.is_plain())?;
        let member = Named { number: to.number, life: suspect.life };
        Some(Update { member, incarnation: suspect.incarnation, standing: Standing::Suspect })
    }
}
