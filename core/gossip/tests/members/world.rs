//! Members, a network between them and one clock, all of one seed. Knows nothing of sockets or ciphers: what is sealed by
//! one is opened by the other, and what that adds to a packet is counted.

use crate::machine::Machine;
use crate::streams::Streams;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use swarm_gossip::frame::{HEADER_BYTES, TAG_BYTES};
use swarm_gossip::{Effect, Number, Roster, Settings, Verdict};

/// IPv4, UDP, and what sealing adds.
const OVERHEAD: usize = 20 + 8 + HEADER_BYTES + TAG_BYTES;
/// Of what is due in one millisecond: first what waited for a processor, and of that timers before what has arrived.
const TIMERS: u8 = 0;
const ARRIVED: u8 = 1;
const IN_TIME: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    Wake { member: usize, life: u32 },
    Deliver { to: usize, from: usize, message: Vec<u8> },
    Opened { member: usize, with: usize, stream: u64 },
    Said { to: usize, from: usize, stream: u64, message: Vec<u8> },
}

pub struct Member<M> {
    pub machine: M,
    pub running: bool,
    /// It gets no processor until then.
    pub starved_until: u64,
    /// It is so now and then: its own death may be no mistake.
    pub starves: bool,
    /// Datagrams to it are lost, streams are not.
    pub deaf: bool,
    /// What its clock is ahead of the world's.
    pub clock_ahead: u64,
    pub island: usize,
    /// Those that asked it themselves and had no answer.
    pub missed_by: BTreeSet<usize>,
    /// Those it knows more of than that they are on the roster.
    pub met: usize,
    /// What it says of those that it does not take for alive.
    doubted: BTreeMap<usize, Verdict>,
    life: u32,
    wakes_at: u64,
}

pub struct World<M> {
    pub now: u64,
    pub members: Vec<Member<M>>,
    /// Of a thousand packets.
    pub lost: u32,
    pub doubled: u32,
    pub packets: u64,
    pub bytes: u64,
    /// How often one that ran and could be reached was declared dead by another.
    pub false_deaths: u64,
    pub seed: u64,
    pub streams: Streams,
    settings: Settings,
    roster: Arc<Roster>,
    rng: SmallRng,
    queue: BinaryHeap<Reverse<(u64, u8, u64, Event)>>,
    sent: u64,
    /// Packets that somebody on the way has kept.
    pub kept: Option<Vec<(usize, usize, Vec<u8>)>>,
}

pub fn number(member: usize) -> Number {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&(member as u64 + 1).to_be_bytes());
    Number(bytes)
}

fn index(number: Number) -> usize {
    usize::try_from(u128::from_be_bytes(number.0)).unwrap() - 1
}

pub fn addr(member: usize) -> SocketAddr {
    let [_, a, b, c] = (member as u32 + 1).to_be_bytes();
    SocketAddr::from(([10, a, b, c], 7946))
}

impl<M: Machine> World<M> {
    /// Members that begin within one second, each with everybody on its roster.
    pub fn new(members: usize, settings: Settings, seed: u64) -> Self {
        let mut world = Self::empty(settings, seed);
        (0..members).for_each(|_| world.add());
        world.settle_in();
        world
    }

    pub fn empty(settings: Settings, seed: u64) -> Self {
        Self {
            now: 0,
            members: Vec::new(),
            lost: 0,
            doubled: 0,
            packets: 0,
            bytes: 0,
            false_deaths: 0,
            seed,
            streams: Streams::default(),
            settings,
            roster: Arc::default(),
            rng: SmallRng::seed_from_u64(seed),
            queue: BinaryHeap::new(),
            sent: 0,
            kept: None,
        }
    }

    /// A member that nobody has on the roster yet.
    pub fn add(&mut self) {
        let member = self.members.len();
        let machine = M::new(member, 1, self.rng.random(), &self.settings);
        let new = Member {
            machine,
            running: true,
            starved_until: 0,
            starves: false,
            deaf: false,
            clock_ahead: 0,
            island: 0,
            missed_by: BTreeSet::new(),
            met: 0,
            doubted: BTreeMap::new(),
            life: 1,
            wakes_at: u64::MAX,
        };
        self.members.push(new);
        // Members do not all begin in the same millisecond.
        self.members[member].starved_until = self.now + self.rng.random_range(0..1000);
    }

    /// Everybody gets the roster, on all processors: for ten thousand that is a hundred million entries.
    fn settle_in(&mut self) {
        self.list_all();
        let (now, roster) = (self.now, &self.roster);
        let share = self.members.len().div_ceil(std::thread::available_parallelism().map_or(1, usize::from));
        let effects: Vec<Vec<Effect>> = std::thread::scope(|scope| {
            let settle = |some: &mut [Member<M>]| -> Vec<Vec<Effect>> {
                some.iter_mut().map(|m| m.machine.set_roster(now, roster)).collect()
            };
            let parts = self.members.chunks_mut(share.max(1));
            let threads: Vec<_> = parts.map(|some| scope.spawn(move || settle(some))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        effects.into_iter().enumerate().for_each(|(member, effects)| self.take(member, effects));
    }

    /// The managers have everybody on the list.
    pub fn list_all(&mut self) {
        let all: Vec<_> = (0..self.members.len()).map(|m| (number(m), addr(m))).collect();
        self.roster = Arc::new(self.roster.then(&all));
    }

    pub fn give_roster(&mut self, member: usize) {
        let now = self.now + self.members[member].clock_ahead;
        let effects = self.members[member].machine.set_roster(now, &self.roster);
        self.take(member, effects);
    }

    pub fn kill(&mut self, member: usize) {
        self.members[member].running = false;
    }

    /// As the same node, which knows that it was here before.
    pub fn restart(&mut self, member: usize) {
        let seed = self.rng.random();
        let of = &mut self.members[member];
        of.life += 1;
        of.machine = M::new(member, of.life, seed, &self.settings);
        (of.running, of.wakes_at, of.met) = (true, u64::MAX, 0);
        of.doubted.clear();
        self.give_roster(member);
    }

    fn wake_at(&mut self, member: usize, at: u64) {
        self.members[member].wakes_at = at;
        self.push(at, Event::Wake { member, life: self.members[member].life });
    }

    pub fn push(&mut self, at: u64, event: Event) {
        self.queue_up(at, IN_TIME, event);
    }

    fn queue_up(&mut self, at: u64, class: u8, event: Event) {
        self.sent += 1;
        self.queue.push(Reverse((at, class, self.sent, event)));
    }

    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= end) {
            let Some(Reverse((at, .., event))) = self.queue.pop() else { break };
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = end;
    }

    /// Until `done`, looked at every 100 ms. How long it took.
    pub fn run_until(&mut self, most_ms: u64, done: impl Fn(&Self) -> bool) -> Option<u64> {
        let begun = self.now;
        while self.now < begun + most_ms {
            if done(self) {
                return Some(self.now - begun);
            }
            self.run_for(100);
        }
        None
    }

    fn happen(&mut self, event: Event) {
        let who = match &event {
            Event::Wake { member, .. } | Event::Opened { member, .. } => *member,
            Event::Deliver { to, .. } | Event::Said { to, .. } => *to,
        };
        let until = self.members[who].starved_until;
        if until > self.now {
            // Its timers are all due at once when it runs again, and what has arrived still has to be read.
            let class = if matches!(event, Event::Wake { .. }) { TIMERS } else { ARRIVED };
            return self.queue_up(until, class, event);
        }
        if !self.members[who].running {
            return;
        }
        let now = self.now + self.members[who].clock_ahead;
        let member = &mut self.members[who];
        let effects = match event {
            Event::Wake { life, .. } if life != member.life || member.wakes_at > self.now => return,
            Event::Wake { .. } => {
                member.wakes_at = u64::MAX;
                member.machine.tick(now)
            }
            Event::Deliver { from, message, .. } => member.machine.receive(now, from, &message),
            Event::Opened { with, stream, .. } => return self.opened(who, with, stream),
            Event::Said { from, stream, message, .. } => return self.said((from, who), stream, &message),
        };
        self.take(who, effects);
    }

    pub fn take(&mut self, member: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to, message, .. } => self.send(member, index(to), message),
                Effect::Exchange { with, .. } => self.call(member, index(with)),
                Effect::Verdict { of, verdict } => self.note_verdict(member, index(of), verdict),
                Effect::Unanswered { of } => drop(self.members[index(of)].missed_by.insert(member)),
                Effect::Met { .. } => self.members[member].met += 1,
                Effect::Probe { .. } | Effect::Answer { .. } => {}
            }
        }
        let ahead = self.members[member].clock_ahead;
        if let Some(next) = self.members[member].machine.next_timer() {
            let next = next.saturating_sub(ahead).max(self.now + 1);
            if next < self.members[member].wakes_at {
                self.wake_at(member, next);
            }
        }
    }

    fn note_verdict(&mut self, member: usize, of: usize, verdict: Verdict) {
        match verdict {
            Verdict::Alive => drop(self.members[member].doubted.remove(&of)),
            Verdict::Suspect | Verdict::Down => drop(self.members[member].doubted.insert(of, verdict)),
        }
        let judged = &self.members[of];
        let here = judged.running && judged.island == self.members[member].island;
        if verdict == Verdict::Down && here && !judged.starves {
            self.false_deaths += 1;
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Vec<u8>) {
        self.packets += 1;
        self.bytes += (message.len() + OVERHEAD) as u64;
        if let Some(kept) = &mut self.kept {
            kept.push((from, to, message.clone()));
        }
        let copies = 1 + usize::from(self.rng.random_range(0..1000) < self.doubled);
        for _ in 0..copies {
            let arrives = self.rng.random_range(0..1000) >= self.lost && !self.members[to].deaf;
            if arrives && self.members[from].island == self.members[to].island {
                // Packets overtake each other.
                let delay = self.delay() + if self.doubled > 0 { self.rng.random_range(0..40) } else { 0 };
                self.push(self.now + delay, Event::Deliver { to, from, message: message.clone() });
            }
        }
    }

    pub fn delay(&mut self) -> u64 {
        1 + self.rng.random_range(0..3)
    }

    /// A packet that was kept comes again.
    pub fn replay(&mut self, (from, to, message): (usize, usize, Vec<u8>)) {
        self.push(self.now + 1, Event::Deliver { to, from, message });
    }

    pub fn verdict(&self, at: usize, of: usize) -> Verdict {
        self.members[at].doubted.get(&of).copied().unwrap_or(Verdict::Alive)
    }

    /// Every running member thinks of every other one what is so.
    pub fn agrees(&self) -> bool {
        let mut here: BTreeMap<usize, usize> = BTreeMap::new();
        for member in self.members.iter().filter(|member| member.running) {
            *here.entry(member.island).or_default() += 1;
        }
        self.members.iter().filter(|member| member.running).all(|member| {
            let gone = self.members.len() - here[&member.island];
            let is_gone =
                |of: &usize| !self.members[*of].running || self.members[*of].island != member.island;
            member.doubted.len() == gone
                && member.doubted.iter().all(|(of, verdict)| *verdict == Verdict::Down && is_gone(of))
        })
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.rng.random_range(0..end)
    }
}
