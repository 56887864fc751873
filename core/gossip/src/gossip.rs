//! One member: what comes in, what goes out, and what it thinks of the others. foca is the SWIM in it; around it stands what
//! Lifeguard (Dadgar, Phillips, Currey 2018) adds: whoever is slow itself waits longer before it accuses, a suspect has the
//! more time the fewer say the same, and is told first. Must not know sockets, keys or the time of day.

use crate::effects::Effects;
use crate::frame::{MAX_MESSAGE, Number};
use crate::inner::{self, Name, Packets};
use crate::message::{
    ACCUSATION_BYTES, Accusation, Kind, MOST_BEFORE_NEWS, Malformed, Message, Named, Standing, UPDATE_BYTES,
    Update,
};
use crate::roster::{Member, Roster, Slot};
use crate::settings::Settings;
use crate::suspicion::Suspicions;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use foca::{Foca, Header, Message as Said, NoCustomBroadcast, OwnedNotification, State, Timer};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// A timer that fires later than this says that this member stood still, and the others did not.
const STOOD_STILL_MS: u64 = 200;
/// What has arrived meanwhile is looked at before anybody is judged.
const CATCH_UP_MS: u64 = 100;
/// The dead that are asked again at a time.
const ASKED_AGAIN: usize = 2;

/// What one member thinks of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nobody says otherwise.
    Alive,
    Suspect,
    Down,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// To be sealed for `to` and sent.
    Send {
        to: Number,
        addr: SocketAddr,
        message: Vec<u8>,
    },
    Verdict {
        of: Number,
        verdict: Verdict,
    },
    /// `of` answered a probe after so long.
    RoundTrip {
        of: Number,
        ms: u64,
    },
    /// This member itself asked `of`, and had others ask, and there was no answer. Holds until `of` is alive again.
    Unanswered {
        of: Number,
    },
}

enum Due {
    Foca(Timer<Name>),
    /// Ask some of the dead whether they are.
    Again,
}

/// The probe that is under way.
struct Probe {
    slot: Slot,
    number: u8,
    sent: u64,
    answered: bool,
}

pub struct Gossip {
    me: Number,
    settings: Settings,
    foca: Foca<Name, Packets, SmallRng, NoCustomBroadcast>,
    rng: SmallRng,
    roster: Roster,
    timers: BTreeMap<(u64, u64), Due>,
    armed: u64,
    /// This member's time: that of its caller, less what it stood still.
    now: u64,
    stood_still: u64,
    probe: Option<Probe>,
    awareness: u32,
    /// The first incarnation whose suspicion was not yet held against ourselves.
    unheard: u16,
    suspicions: Suspicions,
    down: BTreeSet<Slot>,
    /// Those nothing was heard from yet.
    unmet: BTreeSet<Slot>,
    /// What was told of each that is not alive.
    shown: BTreeMap<Slot, Verdict>,
    touched: BTreeSet<Slot>,
    out: Vec<Effect>,
}

/// Its own slot.
const ME: Slot = 0;

impl Gossip {
    /// `life` is larger than in any start before; `addr` is only told to itself.
    pub fn new(me: Number, addr: SocketAddr, life: u32, seed: u64, settings: Settings) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let config = settings.foca(1);
        let foca = Foca::new(Name { slot: ME, life }, config, SmallRng::seed_from_u64(rng.random()), Packets);
        let mut roster = Roster::default();
        roster.put(Member { number: me, addr });
        let mut gossip = Self {
            me,
            foca,
            rng,
            roster,
            settings,
            timers: BTreeMap::new(),
            armed: 0,
            now: 0,
            stood_still: 0,
            probe: None,
            awareness: 0,
            unheard: 0,
            suspicions: Suspicions::default(),
            down: BTreeSet::new(),
            unmet: BTreeSet::new(),
            shown: BTreeMap::new(),
            touched: BTreeSet::new(),
            out: Vec::new(),
        };
        gossip.arm(gossip.settings.again_ms, Due::Again);
        gossip
    }

    /// Who belongs from now on. Who is new counts as alive until it is found otherwise.
    pub fn set_roster(&mut self, now: u64, members: &[(Number, SocketAddr)]) -> Vec<Effect> {
        self.see(now);
        let wanted: BTreeSet<Number> = members.iter().map(|(number, _)| *number).collect();
        let gone: Vec<(Number, Slot)> =
            self.roster.numbers().filter(|(n, s)| *s != ME && !wanted.contains(n)).collect();
        let mut effects = Effects::default();
        gone.into_iter().for_each(|(number, slot)| self.leave(number, slot, &mut effects));
        let mut new = Vec::new();
        for (number, addr) in members.iter().filter(|(number, _)| *number != self.me) {
            if let Some((slot, true)) = self.roster.put(Member { number: *number, addr: *addr }) {
                self.unmet.insert(slot);
                new.push(foca::Member::alive(Name { slot, life: 0 }));
            }
        }
        let _ = self.foca.set_config(self.settings.foca(wanted.len().max(1)));
        let _ = self.foca.apply_many(new.into_iter(), false, &mut effects);
        self.settle(effects)
    }

    fn leave(&mut self, number: Number, slot: Slot, effects: &mut Effects) {
        if let Some(known) = self.known(slot) {
            let name = *known.id();
            let _ = self.foca.apply_many(core::iter::once(foca::Member::down(name)), false, &mut *effects);
            let _ = self.foca.handle_timer(Timer::RemoveDown(name), &mut *effects);
        }
        self.clear(slot);
        self.suspicions.forget(number);
        self.roster.remove(slot);
        self.shown.remove(&slot);
        // What foca says of it in `effects` is about nobody any more.
        self.down.remove(&slot);
        self.unmet.remove(&slot);
    }

    /// A message that was opened, from who sealed it.
    ///
    /// # Errors
    /// It is none, or none that is sent so; nothing has changed.
    pub fn receive(&mut self, now: u64, from: Number, bytes: &[u8]) -> Result<Vec<Effect>, Malformed> {
        let message = Message::decode(bytes)?;
        let src = self.roster.slot(&from).filter(|slot| *slot != ME).ok_or(Malformed)?;
        let said = self.roster.said(&message.kind).ok_or(Malformed)?;
        self.see(now);
        let src = Name { slot: src, life: message.life };
        self.note_answer(&said, src.slot);
        // Whatever life it was meant for, who asks is answered, and learns of this one. Only the news of a death is for one.
        let dst = match message.kind {
            Kind::TurnUndead(life) => Name { slot: ME, life },
            _ => *self.foca.identity(),
        };
        let header = Header { src, src_incarnation: message.incarnation, dst, message: said };
        let members: Vec<foca::Member<Name>> =
            message.updates.iter().filter_map(|u| self.roster.told(u)).collect();
        members.iter().for_each(|member| self.note_suspicion_of_us(member));
        let packet = inner::write(&header, &members)?;
        let mut effects = Effects::default();
        if self.unmet.remove(&src.slot) {
            // Everybody learns of everybody's life by itself: as news, all of them at once would keep a large cluster busy.
            let met = foca::Member::new(src, message.incarnation, State::Alive);
            let _ = self.foca.apply_many(core::iter::once(met), false, &mut effects);
        }
        // An error leaves foca as it was, or says that the packet was for another life of ours.
        let _ = self.foca.handle_data(&packet, &mut effects);
        let named =
            members.iter().filter(|member| member.state() == State::Suspect).map(|member| member.id().slot);
        let heard = members.iter().map(|member| member.id().slot).chain([src.slot]);
        let watched = heard.filter(|slot| self.suspicions.by_slot.contains_key(slot));
        let slots: BTreeSet<Slot> = named.chain(watched).filter(|slot| *slot != ME).collect();
        slots.into_iter().for_each(|slot| self.look_again(slot));
        message.accusations.iter().for_each(|accusation| self.hear(accusation, &mut effects));
        Ok(self.settle(effects))
    }

    /// To be called when `next_timer` says so.
    pub fn tick(&mut self, now: u64) -> Vec<Effect> {
        self.see(now);
        let mut out = Vec::new();
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let mut effects = Effects::default();
            match entry.remove() {
                Due::Again => self.ask_again(&mut effects),
                Due::Foca(timer) => {
                    if matches!(timer, Timer::ProbeRandomMember(_)) {
                        self.judge_probe();
                    }
                    let _ = self.foca.handle_timer(timer, &mut effects);
                }
            }
            out.extend(self.settle(effects));
        }
        out
    }

    /// When `tick` is due.
    pub fn next_timer(&self) -> Option<u64> {
        self.timers.first_key_value().map(|((due, _), _)| due.saturating_add(self.stood_still))
    }

    /// What this member thinks of each other one on the roster.
    pub fn verdicts(&self) -> impl Iterator<Item = (Number, Verdict)> {
        let others = self.roster.numbers().filter(|(_, slot)| *slot != ME);
        others.map(|(number, slot)| (number, self.verdict(slot)))
    }

    /// How slow this member finds itself: 0 not at all.
    pub fn awareness(&self) -> u32 {
        self.awareness
    }

    fn verdict(&self, slot: Slot) -> Verdict {
        match (self.down.contains(&slot), self.suspicions.by_slot.contains_key(&slot)) {
            (true, _) => Verdict::Down,
            (false, true) => Verdict::Suspect,
            (false, false) => Verdict::Alive,
        }
    }

    /// Time never goes back; and what this member slept through counts for nobody, for it could not hear them.
    fn see(&mut self, now: u64) {
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

    fn aware(&mut self, by: i32) {
        self.awareness = self.awareness.saturating_add_signed(by).min(self.settings.most_awareness);
    }

    fn judge_probe(&mut self) {
        match self.probe.take() {
            Some(probe) if probe.answered => self.aware(-1),
            Some(_) => self.aware(1),
            None => {}
        }
    }

    fn note_answer(&mut self, said: &Said<Name>, src: Slot) {
        let Some(probe) = self.probe.as_mut().filter(|probe| !probe.answered) else { return };
        let (number, of) = match said {
            Said::Ack(number) => (*number, src),
            Said::ForwardedAck { origin, probe_number } => (*probe_number, origin.slot),
            _ => return,
        };
        if (number, of) == (probe.number, probe.slot) {
            probe.answered = true;
            if let (Said::Ack(_), Some(member)) = (said, self.roster.member(of)) {
                let ms = self.now.saturating_sub(probe.sent);
                self.out.push(Effect::RoundTrip { of: member.number, ms });
            }
        }
    }

    fn note_suspicion_of_us(&mut self, member: &foca::Member<Name>) {
        let of_us = member.id() == self.foca.identity() && member.state() == State::Suspect;
        if of_us && member.incarnation() >= self.unheard {
            self.unheard = member.incarnation().saturating_add(1);
            self.aware(1);
        }
    }

    fn known(&self, slot: Slot) -> Option<&foca::Member<Name>> {
        self.foca.iter_membership_state().find(|member| member.id().slot == slot)
    }

    /// What foca thinks of it is what counts.
    fn look_again(&mut self, slot: Slot) {
        let known = self.known(slot).map(|known| (*known.id(), known.incarnation(), known.state()));
        match known {
            Some((name, incarnation, State::Suspect)) => {
                let timer = self.suspicions.by_slot.get(&slot).and_then(|suspect| suspect.timer);
                let suspect = self.suspicions.of(slot, name.life, incarnation);
                if let (Some(key), None) = (timer, suspect.timer) {
                    self.timers.remove(&key);
                }
                self.touched.insert(slot);
            }
            _ => self.clear(slot),
        }
    }

    fn clear(&mut self, slot: Slot) {
        if let Some(suspect) = self.suspicions.by_slot.remove(&slot) {
            if let Some(key) = suspect.timer {
                self.timers.remove(&key);
            }
            if let Some(member) = self.roster.member(slot) {
                self.suspicions.forget(member.number);
            }
            self.touched.insert(slot);
        }
    }

    /// Another says that it had no answer from one that is suspect here too, or is now.
    fn hear(&mut self, accusation: &Accusation, effects: &mut Effects) {
        let slot = |number| self.roster.slot(number).filter(|slot| *slot != ME);
        let (Some(target), Some(accuser)) = (slot(&accusation.target.number), slot(&accusation.accuser))
        else {
            return;
        };
        if target == accuser
            || self.known(target).is_none_or(|known| known.id().life != accusation.target.life)
        {
            return;
        }
        let name = Name { slot: target, life: accusation.target.life };
        let news = foca::Member::new(name, accusation.incarnation, State::Suspect);
        let _ = self.foca.apply_many(core::iter::once(news), true, &mut *effects);
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
        let number = |slot| self.roster.member(slot).map(|member| member.number);
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

    fn ask_again(&mut self, effects: &mut Effects) {
        for _ in 0..ASKED_AGAIN.min(self.down.len()) {
            let at = self.rng.random_range(0..self.down.len());
            let known = self.down.iter().nth(at).and_then(|slot| self.known(*slot));
            if let Some(name) = known.map(|known| *known.id()) {
                let _ = self.foca.announce(name, &mut *effects);
            }
        }
        self.arm(self.settings.again_ms, Due::Again);
    }

    fn arm(&mut self, after: u64, due: Due) -> (u64, u64) {
        self.armed += 1;
        let key = (self.now.saturating_add(after), self.armed);
        self.timers.insert(key, due);
        key
    }

    /// What foca wants done, and what has changed by it.
    fn settle(&mut self, effects: Effects) -> Vec<Effect> {
        effects.notes.into_iter().for_each(|note| self.note(note));
        let mut own = Vec::new();
        effects.timers.into_iter().for_each(|(timer, after)| own.extend(self.start(timer, after)));
        effects.sent.iter().for_each(|packet| self.send(packet));
        if !own.is_empty() {
            // What only this member knows rides on what is sent next: that is now.
            let mut told = Effects::default();
            let _ = self.foca.gossip(&mut told);
            told.sent.iter().for_each(|packet| self.send(packet));
        }
        for slot in core::mem::take(&mut self.touched) {
            self.show(slot);
        }
        core::mem::take(&mut self.out)
    }

    fn note(&mut self, note: OwnedNotification<Name>) {
        match note {
            OwnedNotification::MemberUp(name) => {
                self.down.remove(&name.slot);
                self.touched.insert(name.slot);
            }
            OwnedNotification::MemberDown(name) if self.roster.member(name.slot).is_some() => {
                self.clear(name.slot);
                self.down.insert(name.slot);
                self.touched.insert(name.slot);
            }
            OwnedNotification::Rename(_, name) => self.look_again(name.slot),
            OwnedNotification::Rejoin(_) => self.unheard = 0,
            OwnedNotification::MemberDown(_)
            | OwnedNotification::Active
            | OwnedNotification::Idle
            | OwnedNotification::Defunct => {}
        }
    }

    /// Sets a timer of foca's. Whom this member has just found suspect, if anybody.
    fn start(&mut self, timer: Timer<Name>, after: Duration) -> Option<Slot> {
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        match timer {
            Timer::ProbeRandomMember(_) | Timer::SendIndirectProbe { .. } => {
                let after = after.saturating_mul(u64::from(self.awareness) + 1);
                self.arm(after, Due::Foca(timer));
                None
            }
            Timer::ChangeSuspectToDown { member_id, incarnation, .. } => {
                self.look_again(member_id.slot);
                let now = self.now;
                let suspect = self.suspicions.by_slot.get_mut(&member_id.slot)?;
                if suspect.timer.is_some()
                    || (suspect.life, suspect.incarnation) != (member_id.life, incarnation)
                {
                    return None;
                }
                suspect.since = Some(now);
                let key = self.arm(0, Due::Foca(timer));
                self.suspicions.by_slot.get_mut(&member_id.slot)?.timer = Some(key);
                self.accuse(member_id.slot, ME, incarnation);
                if let Some(member) = self.roster.member(member_id.slot) {
                    self.out.push(Effect::Unanswered { of: member.number });
                }
                Some(member_id.slot)
            }
            // Who is dead stays known as long as it is on the roster.
            Timer::RemoveDown(_) => None,
            Timer::PeriodicAnnounce(_) | Timer::PeriodicAnnounceDown(_) | Timer::PeriodicGossip(_) => {
                self.arm(after, Due::Foca(timer));
                None
            }
        }
    }

    /// A packet of foca's, as it goes over the wire.
    fn send(&mut self, packet: &[u8]) {
        let Ok((header, members)) = inner::read(packet) else { return };
        let (Some(to), Some(kind)) =
            (self.roster.member(header.dst.slot).copied(), self.roster.kind(&header.message, &header.dst))
        else {
            return;
        };
        if let Said::Ping(number) = header.message {
            self.probe = Some(Probe { slot: header.dst.slot, number, sent: self.now, answered: false });
        }
        let mut updates: Vec<Update> =
            members.iter().filter_map(|member| self.roster.update(member)).collect();
        // Whoever is suspect hears of it first from who asks it whether it is there.
        let asks = matches!(kind, Kind::Ping(_)) && !self.settings.is_plain();
        let suspect = self.suspicions.by_slot.get(&header.dst.slot).filter(|_| asks);
        if let Some(suspect) =
            suspect.filter(|_| !updates.iter().any(|update| update.member.number == to.number))
        {
            let member = Named { number: to.number, life: suspect.life };
            updates.push(Update { member, incarnation: suspect.incarnation, standing: Standing::Suspect });
        }
        let room =
            MAX_MESSAGE.saturating_sub(MOST_BEFORE_NEWS + UPDATE_BYTES * updates.len()) / ACCUSATION_BYTES;
        let accusations = self.suspicions.riding(room.min(4));
        let message = Message {
            kind,
            life: header.src.life,
            incarnation: header.src_incarnation,
            updates,
            accusations,
        };
        self.out.push(Effect::Send { to: to.number, addr: to.addr, message: message.encode() });
    }

    fn show(&mut self, slot: Slot) {
        let verdict = self.verdict(slot);
        let before = match verdict {
            Verdict::Alive => self.shown.remove(&slot),
            Verdict::Suspect | Verdict::Down => self.shown.insert(slot, verdict),
        };
        if let (true, Some(member)) = (before.unwrap_or(Verdict::Alive) != verdict, self.roster.member(slot))
        {
            self.out.push(Effect::Verdict { of: member.number, verdict });
        }
    }
}
