//! What others send, one message at a time. Must not know what is answered.

use super::Gossip;
use crate::effect::Effect;
use crate::effects::Effects;
use crate::frame::Number;
use crate::held::Held;
use crate::inner::{self, Name};
use crate::known::ME;
use crate::message::{Kind, Malformed, Message, Update};
use crate::roster::Slot;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use foca::{Header, Member, State};

impl Gossip {
    /// A message that was opened, from who sealed it.
    ///
    /// # Errors
    /// It is none, or none that is sent so; nothing has changed.
    pub fn receive(&mut self, now: u64, from: Number, bytes: &[u8]) -> Result<Vec<Effect>, Malformed> {
        let message = Message::decode(bytes)?;
        let src = self.known.other(&from).filter(|_| self.may_be(message.life)).ok_or(Malformed)?;
        let said = self.known.said(&message.kind).ok_or(Malformed)?;
        self.see(now);
        let src = Name { slot: src, life: message.life };
        self.note_answer(&said, src.slot);
        let mut effects = Effects::default();
        self.hear_of(src, message.incarnation, &mut effects);
        let meant = match message.kind {
            Kind::TurnUndead(life) => Some(life),
            _ => None,
        };
        let members = match meant.is_none_or(|life| life == self.foca.identity().life) {
            true => self.news(&message.updates, src),
            false => Vec::new(),
        };
        members.iter().for_each(|member| self.tell(member.clone(), true, &mut effects));
        // Whatever life it was meant for, who asks is answered, and learns of this one. Only the news of a death is for one.
        let dst = meant.map_or(*self.foca.identity(), |life| Name { slot: ME, life });
        let header = Header { src, src_incarnation: message.incarnation, dst, message: said };
        // An error leaves foca as it was, or says that the packet was for another life of ours.
        let _ = self.foca.handle_data(&inner::write(&header, &[])?, &mut effects);
        let named =
            members.iter().filter(|member| member.state() == State::Suspect).map(|member| member.id().slot);
        let heard = members.iter().map(|member| member.id().slot).chain([src.slot]);
        self.watch(named, heard);
        message.accusations.iter().for_each(|accusation| self.hear(accusation, &mut effects));
        Ok(self.settle(effects))
    }

    /// What is said of members. One that is dead says nothing that counts.
    pub(super) fn news(&mut self, updates: &[Update], src: Name) -> Vec<Member<Name>> {
        let speaks = |held: &Held| held.life == src.life && held.state() != State::Down;
        if !self.held.of(src.slot).is_some_and(|held| speaks(&held)) {
            return Vec::new();
        }
        let believed = updates.iter().filter(|update| self.may_be(update.member.life));
        let members: Vec<_> = believed.filter_map(|update| self.known.told(update)).collect();
        members.iter().for_each(|member| self.note_suspicion_of_us(member));
        members
    }

    /// Who speaks is alive, under the life it speaks in.
    pub(super) fn hear_of(&mut self, src: Name, incarnation: u16, effects: &mut Effects) {
        // Everybody learns of everybody's life by itself: as news, all of them at once would keep a large cluster busy.
        let first = self.held.of(src.slot).is_some_and(|held| held.life == 0);
        self.tell(Member::new(src, incarnation, State::Alive), !first || self.knows_most(), effects);
    }

    /// Looks again at those that were called suspect, and at suspects that anything was heard of.
    pub(super) fn watch(&mut self, named: impl Iterator<Item = Slot>, heard: impl Iterator<Item = Slot>) {
        let watched = heard.filter(|slot| self.suspicions.by_slot.contains_key(slot));
        let slots: BTreeSet<Slot> = named.chain(watched).filter(|slot| *slot != ME).collect();
        slots.into_iter().for_each(|slot| self.look_again(slot));
    }
}

#[cfg(test)]
mod tests {
    use crate::effect::Verdict;
    use crate::frame::Number;
    use crate::message::{Kind, Malformed, Message, Named, Standing, Update};
    use crate::roster::Roster;
    use crate::{Gossip, Settings};
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use core::net::SocketAddr;

    const NOW: u32 = 1_000;

    fn number(n: u8) -> Number {
        Number([n; 16])
    }

    fn member() -> Gossip {
        let addr = |n: u8| SocketAddr::from(([192, 0, 2, n], 7946));
        let mut gossip = Gossip::new(number(1), addr(1), 900, 1, Settings::default());
        let all: Vec<_> = (1..=3).map(|n| (number(n), addr(n))).collect();
        gossip.set_roster(0, &Arc::new(Roster::default().then(&all)));
        gossip.set_latest(NOW);
        gossip
    }

    /// The second member says it of the third.
    fn says(gossip: &mut Gossip, life: u32, (of, standing): (u32, Standing)) -> Result<(), Malformed> {
        let member = Named { number: number(3), life: of };
        let updates = Vec::from([Update { member, incarnation: 0, standing }]);
        let message = Message { kind: Kind::Gossip, life, incarnation: 0, updates, accusations: Vec::new() };
        gossip.receive(1, number(2), &message.encode()).map(drop)
    }

    /// Found by a breaker: once it was dead in the last life there is, it could never say that it was alive.
    #[test]
    fn nobody_is_dead_in_a_life_that_has_not_begun() {
        let mut gossip = member();
        let third =
            |gossip: &Gossip| gossip.verdicts().find(|(of, _)| *of == number(3)).map(|(_, said)| said);
        for life in [u32::MAX, NOW + 1] {
            says(&mut gossip, 950, (life, Standing::Alive)).unwrap();
            says(&mut gossip, 950, (life, Standing::Down)).unwrap();
            assert_eq!(third(&gossip), Some(Verdict::Alive), "{life}");
            assert_eq!(says(&mut gossip, life, (NOW, Standing::Down)), Err(Malformed));
        }
        says(&mut gossip, 950, (NOW, Standing::Alive)).unwrap();
        says(&mut gossip, 950, (NOW, Standing::Down)).unwrap();
        assert_eq!(third(&gossip), Some(Verdict::Down), "that it may say");
        gossip.set_latest(NOW + 1);
        says(&mut gossip, 950, (NOW + 1, Standing::Alive)).unwrap();
        assert_eq!(third(&gossip), Some(Verdict::Alive), "and it lives in the next");
    }
}
