//! One member: what comes in, what goes out, and what it thinks of the others. foca is the SWIM in it; around it stands what
//! Lifeguard (Dadgar, Phillips, Currey 2018) adds: whoever is slow itself waits longer before it accuses, a suspect has the
//! more time the fewer say the same, and is told first. Must not know sockets, keys or the time of day.

mod health;
mod incoming;
mod membership;
mod outgoing;
mod push_pull;
mod suspects;

use crate::effect::{Effect, Verdict};
use crate::effects::Effects;
use crate::frame::Number;
use crate::held::AllHeld;
use crate::inner::{Name, Packets};
use crate::known::{Known, ME};
use crate::roster::Slot;
use crate::settings::Settings;
use crate::suspicion::Suspicions;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use foca::{Foca, NoCustomBroadcast, OwnedNotification, Timer};
use health::Probe;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// A timer of a member: when it is due, and which of those that are due then.
type Key = (u64, u64);

enum Due {
    Foca(Timer<Name>),
    /// Ask some of the dead whether they are.
    Again,
    /// Tell another all that is known, where it knows something else.
    Exchange,
    /// One whom others took for dead, and who has not said otherwise since.
    Expire(Name, u16),
}

pub struct Gossip {
    known: Known,
    settings: Settings,
    foca: Foca<Name, Packets, SmallRng, NoCustomBroadcast>,
    rng: SmallRng,
    held: AllHeld,
    timers: BTreeMap<Key, Due>,
    armed: u64,
    /// This member's time: that of its caller, less what it stood still.
    now: u64,
    stood_still: u64,
    probe: Option<Probe>,
    awareness: u32,
    /// This member's own, as it stands in what it sends.
    incarnation: u16,
    /// The first incarnation whose suspicion was not yet held against ourselves.
    unheard: u16,
    suspicions: Suspicions,
    down: BTreeSet<Slot>,
    /// When those whose death was doubted have had their time.
    doubted: BTreeMap<Slot, Key>,
    /// The latest life that anybody may have begun by now.
    latest: u32,
    /// How many nothing was heard of yet.
    unmet: usize,
    /// Until the next exchange but one, since there was much to learn, and as long as anything is learned.
    hurry_ms: Option<u64>,
    /// The timer of the next one.
    exchange_due: Option<Key>,
    /// What was told of each that is not alive.
    shown: BTreeMap<Slot, Verdict>,
    touched: BTreeSet<Slot>,
    out: Vec<Effect>,
}

impl Gossip {
    /// `life` is larger than in any start before; `addr` is only told to itself.
    pub fn new(me: Number, addr: SocketAddr, life: u32, seed: u64, settings: Settings) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let config = settings.foca(1);
        let foca = Foca::new(Name { slot: ME, life }, config, SmallRng::seed_from_u64(rng.random()), Packets);
        let mut gossip = Self {
            known: Known::new(me, addr),
            foca,
            rng,
            settings,
            held: AllHeld::default(),
            timers: BTreeMap::new(),
            armed: 0,
            now: 0,
            stood_still: 0,
            probe: None,
            awareness: 0,
            incarnation: 0,
            unheard: 0,
            suspicions: Suspicions::default(),
            down: BTreeSet::new(),
            doubted: BTreeMap::new(),
            latest: u32::MAX,
            unmet: 0,
            hurry_ms: None,
            exchange_due: None,
            shown: BTreeMap::new(),
            touched: BTreeSet::new(),
            out: Vec::new(),
        };
        gossip.arm(gossip.settings.again_ms, Due::Again);
        gossip.hurry();
        gossip
    }

    /// The latest life that anybody may have begun by now. One that has not come yet would end a member that lives for good:
    /// it could never say that it is alive in a later one.
    pub fn set_latest(&mut self, life: u32) {
        self.latest = life;
    }

    pub(crate) fn may_be(&self, life: u32) -> bool {
        life <= self.latest.max(self.foca.identity().life)
    }

    /// To be called when `next_timer` says so.
    pub fn tick(&mut self, now: u64) -> Vec<Effect> {
        self.see(now);
        let mut out = Vec::new();
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let mut effects = Effects::default();
            match entry.remove() {
                Due::Again => self.ask_again(&mut effects),
                Due::Exchange => self.exchange(),
                Due::Expire(name, incarnation) => self.expire(name, incarnation, &mut effects),
                Due::Foca(timer) => {
                    if matches!(timer, Timer::ProbeRandomMember(_)) {
                        self.judge_probe();
                    }
                    let _ = self.foca.handle_timer(timer, &mut effects);
                }
            }
            out.extend(self.settle(effects));
        }
        debug_assert!(self.is_mirrored(), "what foca holds of a member is not what was kept beside it");
        out
    }

    fn is_mirrored(&self) -> bool {
        let others = self.foca.iter_membership_state().filter(|member| member.id().slot != ME);
        others.into_iter().all(|member| self.held.of(member.id().slot).is_some_and(|held| held.is_of(member)))
    }

    /// When `tick` is due.
    pub fn next_timer(&self) -> Option<u64> {
        self.timers.first_key_value().map(|((due, _), _)| due.saturating_add(self.stood_still))
    }

    /// What this member thinks of each other one on the roster.
    pub fn verdicts(&self) -> impl Iterator<Item = (Number, Verdict)> {
        self.known.others().map(|(number, slot)| (number, self.verdict(slot)))
    }

    /// Of how many others this member knows nothing but that they are on the roster.
    pub fn unmet(&self) -> usize {
        self.unmet
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

    fn arm(&mut self, after: u64, due: Due) -> Key {
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
            OwnedNotification::MemberDown(name) => self.bury(name),
            OwnedNotification::Rename(before, name) => {
                self.meet(&before, &name);
                self.look_again(name.slot);
            }
            OwnedNotification::Rejoin(_) => (self.unheard, self.incarnation) = (0, 0),
            OwnedNotification::Active | OwnedNotification::Idle | OwnedNotification::Defunct => {}
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
                self.suspect(member_id, incarnation, timer)
            }
            // Who is dead stays known as long as it is on the roster.
            Timer::RemoveDown(_) => None,
            Timer::PeriodicAnnounce(_) | Timer::PeriodicAnnounceDown(_) | Timer::PeriodicGossip(_) => {
                self.arm(after, Due::Foca(timer));
                None
            }
        }
    }

    fn show(&mut self, slot: Slot) {
        let verdict = self.verdict(slot);
        let before = match verdict {
            Verdict::Alive => self.shown.remove(&slot),
            Verdict::Suspect | Verdict::Down => self.shown.insert(slot, verdict),
        };
        let changed = before.unwrap_or(Verdict::Alive) != verdict;
        if let (true, Some(member)) = (changed, self.known.member(slot)) {
            self.out.push(Effect::Verdict { of: member.number, verdict });
        }
    }
}
