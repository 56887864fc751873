//! What two members tell each other over a stream: first what both hold, in a few bytes; where that differs, all of it. It
//! brings a newcomer to know everybody in a few rounds, mends what was lost on the way, and lets a suspect whose datagrams
//! are lost say that it is there. Must not know sockets.

use super::{Due, Gossip};
use crate::effect::Effect;
use crate::effects::Effects;
use crate::exchange::{Exchange, MOST_IN_WHOLE, Said, Step};
use crate::frame::Number;
use crate::inner::Name;
use crate::known::ME;
use crate::message::{Digest, Kind, Malformed, Message, Update};
use crate::roster::{Member as Place, Slot};
use alloc::vec::Vec;
use foca::{Member, State};
use rand::RngExt;

/// Between two exchanges of who has much to learn; twice as long each time that nothing was learned.
pub(super) const HURRY_MS: u64 = 1000;
/// One of so many unheard of is much.
const MUCH: usize = 16;
/// Tries to find somebody alive by chance.
const TRIES: usize = 8;

impl Gossip {
    /// The stream to `with` is there: what is sent first.
    pub fn open(&self, with: Number) -> (Exchange, Vec<u8>) {
        let mine = self.digest();
        (Exchange::begun(with, mine), self.message(Kind::Digest(mine), Vec::new()))
    }

    /// A message that came over a stream, from who sealed it. `None`: the first on a stream that the other opened.
    ///
    /// # Errors
    /// It is none, or not the one that comes next; nothing has changed, and the stream is to be closed.
    pub fn proceed(
        &mut self,
        now: u64,
        exchange: Option<Exchange>,
        (from, bytes): (Number, &[u8]),
    ) -> Result<Said, Malformed> {
        let message = Message::decode(bytes)?;
        let src = self.known.other(&from).filter(|_| self.may_be(message.life)).ok_or(Malformed)?;
        let asked = exchange.is_none();
        let mut exchange = exchange.unwrap_or_else(|| Exchange::asked(from, self.digest()));
        let step = exchange.take(from, &message)?;
        self.see(now);
        let mut effects = Effects::default();
        let name = Name { slot: src, life: message.life };
        self.hear_of(name, message.incarnation, &mut effects);
        let mut messages = Vec::new();
        if asked {
            messages.push(self.message(Kind::Digest(exchange.mine()), Vec::new()));
        }
        if !message.updates.is_empty() {
            self.merge(&message.updates, name, &mut effects);
        }
        self.watch(core::iter::empty(), core::iter::once(src));
        let effects = self.settle(effects);
        if step == Step::Tell {
            messages.extend(self.whole());
        }
        Ok(Said { effects, messages, next: (!exchange.is_over()).then_some(exchange) })
    }

    fn message(&self, kind: Kind, updates: Vec<Update>) -> Vec<u8> {
        let (life, incarnation) = (self.foca.identity().life, self.incarnation);
        Message { kind, life, incarnation, updates, accusations: Vec::new() }.encode()
    }

    /// All that is held, this member's own life included, in an order that is the same everywhere.
    fn digest(&self) -> Digest {
        let mut hash = Fnv::default();
        let mut members = 0;
        for (number, slot) in self.known.all() {
            members += 1;
            number.0.into_iter().for_each(|byte| hash.take(u64::from(byte)));
            hash.take(self.fingerprint(slot));
        }
        Digest { members, hash: hash.0 }
    }

    fn fingerprint(&self, slot: Slot) -> u64 {
        if slot == ME {
            let name = self.foca.identity();
            return (u64::from(name.life) << 32) | (u64::from(self.incarnation) << 8);
        }
        self.held.of(slot).unwrap_or_default().fingerprint()
    }

    /// In messages of which the last is not full. What is not known is not told.
    fn whole(&self) -> Vec<Vec<u8>> {
        let update = |(_, slot)| {
            let held = self.held.of(slot).filter(|held| held.life > 0)?;
            let name = Name { slot, life: held.life };
            self.known.update(&Member::new(name, held.incarnation, held.state()))
        };
        let updates: Vec<Update> = self.known.others().filter_map(update).collect();
        let mut messages: Vec<_> =
            updates.chunks(MOST_IN_WHOLE).map(|some| self.message(Kind::Whole, some.to_vec())).collect();
        if updates.len().is_multiple_of(MOST_IN_WHOLE) {
            messages.push(self.message(Kind::Whole, Vec::new()));
        }
        messages
    }

    fn merge(&mut self, updates: &[Update], src: Name, effects: &mut Effects) {
        for news in self.news(updates, src) {
            let (name, incarnation) = (*news.id(), news.incarnation());
            let held = self.held.of(name.slot).unwrap_or_default();
            match news.state() {
                // What the other has from before this member came is no news to anybody else.
                _ if held.life == 0 => self.tell(news, self.knows_most(), effects),
                State::Down if held.life == name.life => {
                    if held.state() == State::Alive {
                        self.doubt(name, incarnation.max(held.incarnation), effects);
                    }
                }
                State::Alive | State::Suspect | State::Down => self.tell(news, true, effects),
            }
            if name.slot != ME {
                self.look_again(name.slot);
            }
        }
        // Notes are taken when all is settled.
        let met = effects.notes.iter().any(|note| match note {
            foca::OwnedNotification::Rename(old, _) => old.life == 0,
            _ => false,
        });
        if met && self.hurry_ms.is_some() {
            self.hurry_ms = Some(HURRY_MS);
        }
    }

    pub(super) fn knows_most(&self) -> bool {
        self.unmet.saturating_mul(MUCH) <= self.known.roster.members()
    }

    /// It is time to ask somebody.
    pub(super) fn exchange(&mut self) {
        if let Some(member) = self.anybody() {
            self.exchange_with(&member);
        }
        self.exchange_due = None;
        let longest = self.settings.exchange_ms;
        let hurry = self.hurry_ms.filter(|pause| self.unmet > 0 && *pause < longest);
        self.hurry_ms = hurry.map(|pause| pause.saturating_mul(2));
        self.arm_exchange(hurry.unwrap_or(longest));
    }

    /// There is much to learn now.
    pub(super) fn hurry(&mut self) {
        if let Some(key) = self.exchange_due.take() {
            self.timers.remove(&key);
        }
        self.hurry_ms = Some(HURRY_MS);
        self.arm_exchange(HURRY_MS);
    }

    pub(super) fn exchange_with(&mut self, member: &Place) {
        if self.settings.exchange_ms > 0 {
            self.out.push(Effect::Exchange { with: member.number, addr: member.addr });
        }
    }

    /// Not all at the same moment: half of it up to one and a half.
    fn arm_exchange(&mut self, pause: u64) {
        if self.settings.exchange_ms > 0 {
            let after = pause / 2 + self.rng.random_range(0..=pause);
            self.exchange_due = Some(self.arm(after, Due::Exchange));
        }
    }

    fn anybody(&mut self) -> Option<Place> {
        let slots = self.known.roster.slots();
        let alive = |gossip: &Self, at: usize| {
            let slot = Slot::try_from(at).ok().filter(|slot| !gossip.down.contains(slot))?;
            let member = gossip.known.roster.member(slot)?;
            gossip.known.other(&member.number).map(|_| *member)
        };
        (0..TRIES).filter(|_| slots > 0).find_map(|_| {
            let at = self.rng.random_range(0..slots);
            alive(self, at)
        })
    }
}

/// FNV-1a over words. Not against anybody who means ill: a member can lie about what it holds anyway.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn take(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }
}
