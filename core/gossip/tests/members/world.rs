//! Members, a network between them and one clock, all of one seed. Knows nothing of sockets or ciphers: what is sealed by
//! one is opened by the other, and what that adds to a packet is counted.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use swarm_gossip::frame::{HEADER_BYTES, TAG_BYTES};
use swarm_gossip::{Effect, Gossip, Number, Settings, Verdict};

/// IPv4, UDP, and what sealing adds.
const OVERHEAD: usize = 20 + 8 + HEADER_BYTES + TAG_BYTES;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wake { member: usize, life: u32 },
    Deliver { to: usize, from: usize, message: Vec<u8> },
}

pub struct Member {
    pub gossip: Gossip,
    pub running: bool,
    /// It gets no processor until then.
    pub starved_until: u64,
    /// It is so now and then: its own death may be no mistake.
    pub starves: bool,
    /// What its clock is ahead of the world's.
    pub clock_ahead: u64,
    pub island: usize,
    /// Those that asked it themselves and had no answer.
    pub missed_by: BTreeSet<usize>,
    life: u32,
    wakes_at: u64,
}

pub struct World {
    pub now: u64,
    pub members: Vec<Member>,
    /// Of a thousand packets.
    pub lost: u32,
    pub doubled: u32,
    pub packets: u64,
    pub bytes: u64,
    /// How often one that ran and could be reached was declared dead by another.
    pub false_deaths: u64,
    pub seed: u64,
    settings: Settings,
    rng: SmallRng,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
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

impl World {
    pub fn new(members: usize, settings: Settings, seed: u64) -> Self {
        let mut world = Self {
            now: 0,
            members: Vec::new(),
            lost: 0,
            doubled: 0,
            packets: 0,
            bytes: 0,
            false_deaths: 0,
            seed,
            settings,
            rng: SmallRng::seed_from_u64(seed),
            queue: BinaryHeap::new(),
            sent: 0,
            kept: None,
        };
        (0..members).for_each(|_| world.add());
        (0..members).for_each(|member| world.give_roster(member));
        world
    }

    /// A member that nobody has on the roster yet.
    pub fn add(&mut self) {
        let member = self.members.len();
        let gossip = Gossip::new(number(member), addr(member), 1, self.rng.random(), self.settings.clone());
        let new = Member {
            gossip,
            running: true,
            starved_until: 0,
            starves: false,
            clock_ahead: 0,
            island: 0,
            missed_by: BTreeSet::new(),
            life: 1,
            wakes_at: u64::MAX,
        };
        self.members.push(new);
        // Members do not all begin in the same millisecond.
        self.members[member].starved_until = self.now + self.rng.random_range(0..1000);
    }

    pub fn give_roster(&mut self, member: usize) {
        let roster: Vec<(Number, SocketAddr)> =
            (0..self.members.len()).map(|m| (number(m), addr(m))).collect();
        let now = self.now + self.members[member].clock_ahead;
        let effects = self.members[member].gossip.set_roster(now, &roster);
        self.take(member, effects);
    }

    pub fn kill(&mut self, member: usize) {
        self.members[member].running = false;
    }

    /// As the same node, which knows that it was here before.
    pub fn restart(&mut self, member: usize) {
        self.members[member].life += 1;
        let life = self.members[member].life;
        let seed = self.rng.random();
        self.members[member].gossip =
            Gossip::new(number(member), addr(member), life, seed, self.settings.clone());
        self.members[member].running = true;
        self.members[member].wakes_at = u64::MAX;
        self.give_roster(member);
    }

    fn wake_at(&mut self, member: usize, at: u64) {
        self.members[member].wakes_at = at;
        self.push(at, Event::Wake { member, life: self.members[member].life });
    }

    fn push(&mut self, at: u64, event: Event) {
        self.sent += 1;
        self.queue.push(Reverse((at, self.sent, event)));
    }

    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= end) {
            let Some(Reverse((at, _, event))) = self.queue.pop() else { break };
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
            Event::Wake { member, .. } => *member,
            Event::Deliver { to, .. } => *to,
        };
        let until = self.members[who].starved_until;
        if until > self.now {
            // In the order in which it would have come to it.
            return self.push(until, event);
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
                member.gossip.tick(now)
            }
            Event::Deliver { from, message, .. } => {
                member.gossip.receive(now, number(from), &message).unwrap_or_default()
            }
        };
        self.take(who, effects);
    }

    fn take(&mut self, member: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to, message, .. } => self.send(member, index(to), message),
                Effect::Verdict { of, verdict: Verdict::Down } => {
                    let of = &self.members[index(of)];
                    if of.running && of.island == self.members[member].island && !of.starves {
                        self.false_deaths += 1;
                    }
                }
                Effect::Unanswered { of } => drop(self.members[index(of)].missed_by.insert(member)),
                Effect::Verdict { .. } | Effect::RoundTrip { .. } => {}
            }
        }
        let ahead = self.members[member].clock_ahead;
        if let Some(next) = self.members[member].gossip.next_timer() {
            let next = next.saturating_sub(ahead).max(self.now + 1);
            if next < self.members[member].wakes_at {
                self.wake_at(member, next);
            }
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
            let arrives = self.rng.random_range(0..1000) >= self.lost;
            if arrives && self.members[from].island == self.members[to].island {
                // Packets overtake each other.
                let delay = 1
                    + self.rng.random_range(0..3)
                    + if self.doubled > 0 { self.rng.random_range(0..40) } else { 0 };
                self.push(self.now + delay, Event::Deliver { to, from, message: message.clone() });
            }
        }
    }

    /// A packet that was kept comes again.
    pub fn replay(&mut self, (from, to, message): (usize, usize, Vec<u8>)) {
        self.push(self.now + 1, Event::Deliver { to, from, message });
    }

    pub fn verdict(&self, at: usize, of: usize) -> Verdict {
        let found = self.members[at].gossip.verdicts().find(|(of_number, _)| *of_number == number(of));
        found.map(|(_, verdict)| verdict).expect("on the roster")
    }

    /// Every running member thinks of every other one what is so.
    pub fn agrees(&self) -> bool {
        let here = |m: &Member, of: &Member| of.running && of.island == m.island;
        self.members.iter().enumerate().filter(|(_, m)| m.running).all(|(at, member)| {
            let mut verdicts = member.gossip.verdicts();
            verdicts.all(|(of, verdict)| {
                let expected =
                    if here(member, &self.members[index(of)]) { Verdict::Alive } else { Verdict::Down };
                index(of) == at || verdict == expected
            })
        })
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.rng.random_range(0..end)
    }
}
