//! memberlist's rules, with its settings for a local network (`DefaultLANConfig`), as a member of the same world: probes,
//! suspicions that every member times for itself, the queue that tells first what was told least, awareness. Left out, in
//! its favour: what it says over TCP, and the room its names take in a packet: see `ITEM_ROOM`.

use crate::machine::{Machine, Proceeded};
use crate::world::{addr, number};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use swarm_gossip::{Effect, Exchange, Roster, Settings, Verdict};

const PROBE_MS: u64 = 1000;
const TIMEOUT_MS: u64 = 500;
const GOSSIP_MS: u64 = 200;
const FANOUT: usize = 3;
const INDIRECT: usize = 3;
const RETRANSMIT: usize = 4;
const SUSPICION: usize = 4;
const SUSPICION_MOST: f64 = 6.0;
const MOST_AWARENESS: u64 = 8;
const TO_THE_DEAD_MS: u64 = 30_000;
/// `UDPBufferSize`, and what one piece of news takes of it: memberlist's takes about 80 bytes.
const PACKET: usize = 1400;
const ITEM_ROOM: usize = 40;
/// As they are written here.
const HEAD: usize = 9;
const ITEM: usize = 13;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    Suspect,
    Dead,
}

/// News of `node`, by `from`.
#[derive(Clone, Copy)]
struct Item {
    state: State,
    node: usize,
    incarnation: u32,
    from: usize,
}

struct Queued {
    item: Item,
    told: usize,
    number: u64,
}

struct Suspicion {
    since: u64,
    accusers: BTreeSet<usize>,
    others: usize,
    timer: (u64, u64),
}

struct Probe {
    target: usize,
    seq: u32,
    answered: bool,
    asked: u64,
    said_no: u64,
}

enum Due {
    Probe,
    Indirect(u32),
    Gossip,
    Refuse { origin: usize, seq: u32, own: u32 },
    Dead(Item),
}

pub struct Memberlist {
    me: usize,
    rng: SmallRng,
    now: u64,
    /// State, incarnation, and since when it is dead.
    nodes: Vec<(State, u32, u64)>,
    timers: BTreeMap<(u64, u64), Due>,
    armed: u64,
    order: Vec<usize>,
    probe: Option<Probe>,
    seq: u32,
    awareness: u64,
    queue: Vec<Queued>,
    suspicions: BTreeMap<usize, Suspicion>,
    /// Own number of a ping on another's behalf: who wanted it, under which number.
    relayed: BTreeMap<u32, (usize, u32)>,
    out: Vec<Effect>,
}

const PING: u8 = 0;
const PING_FOR: u8 = 1;
const ACK: u8 = 2;
const NACK: u8 = 3;
const GOSSIP: u8 = 4;

impl Machine for Memberlist {
    fn new(me: usize, _: u32, seed: u64, _: &Settings) -> Self {
        Self {
            me,
            rng: SmallRng::seed_from_u64(seed),
            now: 0,
            nodes: Vec::new(),
            timers: BTreeMap::new(),
            armed: 0,
            order: Vec::new(),
            probe: None,
            seq: 0,
            awareness: 0,
            queue: Vec::new(),
            suspicions: BTreeMap::new(),
            relayed: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    /// Everybody has joined long ago.
    fn set_roster(&mut self, now: u64, roster: &Arc<Roster>) -> Vec<Effect> {
        let members = roster.members();
        self.now = now;
        self.nodes.resize(members, (State::Alive, 1, 0));
        let (probe, gossip) = (self.rng.random_range(0..PROBE_MS), self.rng.random_range(0..GOSSIP_MS));
        self.arm(probe, Due::Probe);
        self.arm(gossip, Due::Gossip);
        Vec::new()
    }

    fn receive(&mut self, now: u64, from: usize, message: &[u8]) -> Vec<Effect> {
        self.now = self.now.max(now);
        let word = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
        let (seq, target) = (word(1), word(5) as usize);
        for at in (HEAD..message.len()).step_by(ITEM) {
            let state = [State::Alive, State::Suspect, State::Dead][usize::from(message[at])];
            let (node, incarnation, from) = (word(at + 1) as usize, word(at + 5), word(at + 9) as usize);
            self.hear(Item { state, node, incarnation, from });
        }
        match message[0] {
            PING => self.send(from, ACK, seq, None),
            PING_FOR => self.ping_for(from, seq, target),
            ACK => self.answered(seq),
            NACK => {
                if let Some(probe) = self.probe.as_mut().filter(|probe| probe.seq == seq) {
                    probe.said_no += 1;
                }
            }
            _ => {}
        }
        std::mem::take(&mut self.out)
    }

    fn tick(&mut self, now: u64) -> Vec<Effect> {
        self.now = self.now.max(now);
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Due::Probe => self.next_probe(),
                Due::Indirect(seq) => self.probe_through_others(seq),
                Due::Gossip => self.gossip(),
                Due::Refuse { origin, seq, own } => {
                    if self.relayed.remove(&own).is_some() {
                        self.send(origin, NACK, seq, None);
                    }
                }
                Due::Dead(item) => self.hear(item),
            }
        }
        std::mem::take(&mut self.out)
    }

    fn next_timer(&self) -> Option<u64> {
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }

    fn open(&self, _: usize) -> Option<(Exchange, Vec<u8>)> {
        None
    }

    fn proceed(&mut self, _: u64, _: Option<Exchange>, _: (usize, &[u8])) -> Option<Proceeded> {
        None
    }
}

impl Memberlist {
    fn arm(&mut self, after: u64, due: Due) -> (u64, u64) {
        self.armed += 1;
        self.timers.insert((self.now + after, self.armed), due);
        (self.now + after, self.armed)
    }

    fn aware(&mut self, by: i64) {
        self.awareness = self.awareness.saturating_add_signed(by).min(MOST_AWARENESS - 1);
    }

    fn next_probe(&mut self) {
        if let Some(probe) = self.probe.take() {
            match (probe.answered, probe.asked) {
                (true, _) => self.aware(-1),
                (false, 0) => self.aware(1),
                (false, asked) => self.aware(asked.saturating_sub(probe.said_no) as i64),
            }
            if !probe.answered {
                let incarnation = self.nodes[probe.target].1;
                let (node, from) = (probe.target, self.me);
                self.hear(Item { state: State::Suspect, node, incarnation, from });
            }
        }
        let interval = PROBE_MS * (self.awareness + 1);
        if let Some(target) = self.choose() {
            self.seq += 1;
            self.probe = Some(Probe { target, seq: self.seq, answered: false, asked: 0, said_no: 0 });
            let (state, incarnation, _) = self.nodes[target];
            let warning = Item { state: State::Suspect, node: target, incarnation, from: self.me };
            self.send(target, PING, self.seq, (state == State::Suspect).then_some(warning));
            self.arm(TIMEOUT_MS, Due::Indirect(self.seq));
        }
        self.arm(interval, Due::Probe);
    }

    /// All in turn, in an order that is drawn anew each time.
    fn choose(&mut self) -> Option<usize> {
        for _ in 0..=self.nodes.len() {
            if self.order.is_empty() {
                self.order = (0..self.nodes.len()).filter(|node| *node != self.me).collect();
                for at in (1..self.order.len()).rev() {
                    let other = self.rng.random_range(0..=at);
                    self.order.swap(at, other);
                }
            }
            let next = self.order.pop()?;
            if self.nodes[next].0 != State::Dead {
                return Some(next);
            }
        }
        None
    }

    fn probe_through_others(&mut self, seq: u32) {
        let Some(target) = self.probe.as_ref().filter(|p| p.seq == seq && !p.answered).map(|p| p.target)
        else {
            return;
        };
        let through = self.some(INDIRECT, |node, state| node != target && state == State::Alive);
        if let Some(probe) = &mut self.probe {
            probe.asked = through.len() as u64;
        }
        for node in through {
            let mut message = vec![PING_FOR];
            message.extend(seq.to_be_bytes());
            message.extend((target as u32).to_be_bytes());
            self.push(node, message);
        }
    }

    fn ping_for(&mut self, origin: usize, seq: u32, target: usize) {
        self.seq += 1;
        let own = self.seq;
        self.relayed.insert(own, (origin, seq));
        self.send(target, PING, own, None);
        self.arm(TIMEOUT_MS, Due::Refuse { origin, seq, own });
    }

    fn answered(&mut self, seq: u32) {
        if let Some((origin, seq)) = self.relayed.remove(&seq) {
            self.send(origin, ACK, seq, None);
        } else if let Some(probe) = self.probe.as_mut().filter(|probe| probe.seq == seq) {
            probe.answered = true;
        }
    }

    fn gossip(&mut self) {
        let now = self.now;
        if !self.queue.is_empty() {
            let dead_since: Vec<u64> = self.nodes.iter().map(|node| node.2).collect();
            let to = self
                .some(FANOUT, |node, state| state != State::Dead || now < dead_since[node] + TO_THE_DEAD_MS);
            to.into_iter().for_each(|node| {
                if !self.queue.is_empty() {
                    self.send(node, GOSSIP, 0, None);
                }
            });
        }
        self.arm(GOSSIP_MS, Due::Gossip);
    }

    fn some(&mut self, wanted: usize, fits: impl Fn(usize, State) -> bool) -> Vec<usize> {
        let mut chosen = Vec::new();
        for _ in 0..3 * self.nodes.len() {
            let node = self.rng.random_range(0..self.nodes.len());
            if node != self.me && !chosen.contains(&node) && fits(node, self.nodes[node].0) {
                chosen.push(node);
            }
            if chosen.len() == wanted {
                break;
            }
        }
        chosen
    }

    /// With as much of the queue as fits.
    fn send(&mut self, to: usize, kind: u8, seq: u32, first: Option<Item>) {
        let mut message = vec![kind];
        message.extend(seq.to_be_bytes());
        message.extend(0_u32.to_be_bytes());
        first.iter().for_each(|item| write(item, &mut message));
        let room = (PACKET - HEAD) / ITEM_ROOM - usize::from(first.is_some());
        let limit = RETRANSMIT * (self.nodes.len() as f64 + 1.0).log10().ceil() as usize;
        self.queue.sort_by_key(|queued| (queued.told, std::cmp::Reverse(queued.number)));
        for queued in self.queue.iter_mut().take(room) {
            write(&queued.item, &mut message);
            queued.told += 1;
        }
        self.queue.retain(|queued| queued.told < limit);
        self.push(to, message);
    }

    fn push(&mut self, to: usize, message: Vec<u8>) {
        self.out.push(Effect::Send { to: number(to), addr: addr(to), message });
    }

    /// To be told to others; what was to be told of the same node before is not any more.
    fn broadcast(&mut self, item: Item) {
        self.armed += 1;
        self.queue.retain(|queued| queued.item.node != item.node);
        self.queue.push(Queued { item, told: 0, number: self.armed });
    }

    fn hear(&mut self, item: Item) {
        let (state, incarnation, _) = self.nodes[item.node];
        match item.state {
            State::Alive if item.incarnation > incarnation && item.node != self.me => {
                self.forget(item.node);
                self.turn(item, Verdict::Alive);
            }
            State::Suspect if item.incarnation >= incarnation => self.suspect(item, state),
            State::Dead if item.incarnation >= incarnation => {
                self.forget(item.node);
                match (state, item.node == self.me) {
                    (State::Dead, _) => {}
                    (_, true) => self.refute(item.incarnation),
                    (_, false) => self.turn(item, Verdict::Down),
                }
            }
            _ => {}
        }
    }

    fn suspect(&mut self, item: Item, state: State) {
        if self.suspicions.contains_key(&item.node) {
            if self.confirm(&item) {
                self.broadcast(item);
            }
        } else if state == State::Alive && item.node == self.me {
            self.refute(item.incarnation);
        } else if state == State::Alive {
            self.turn(item, Verdict::Suspect);
            let dead = Item { state: State::Dead, from: self.me, ..item };
            let timer = self.arm(patience(self.nodes.len(), 0), Due::Dead(dead));
            let accusers = BTreeSet::from([item.from]);
            self.suspicions.insert(item.node, Suspicion { since: self.now, accusers, others: 0, timer });
        }
    }

    fn confirm(&mut self, item: &Item) -> bool {
        let members = self.nodes.len();
        let Some(suspicion) = self.suspicions.get_mut(&item.node) else { return false };
        if suspicion.others >= confirmations(members) || !suspicion.accusers.insert(item.from) {
            return false;
        }
        suspicion.others += 1;
        let due = suspicion.since + patience(members, suspicion.others);
        if let Some(what) = self.timers.remove(&suspicion.timer) {
            suspicion.timer.0 = due;
            self.timers.insert(suspicion.timer, what);
        }
        true
    }

    fn refute(&mut self, accused: u32) {
        self.aware(1);
        let incarnation = self.nodes[self.me].1.max(accused + 1);
        self.nodes[self.me].1 = incarnation;
        self.broadcast(Item { state: State::Alive, node: self.me, incarnation, from: self.me });
    }

    fn forget(&mut self, node: usize) {
        if let Some(suspicion) = self.suspicions.remove(&node) {
            self.timers.remove(&suspicion.timer);
        }
    }

    fn turn(&mut self, item: Item, verdict: Verdict) {
        self.nodes[item.node] = (item.state, item.incarnation, self.now);
        self.broadcast(item);
        self.out.push(Effect::Verdict { of: number(item.node), verdict });
    }
}

fn write(item: &Item, message: &mut Vec<u8>) {
    message.push(item.state as u8);
    message.extend((item.node as u32).to_be_bytes());
    message.extend(item.incarnation.to_be_bytes());
    message.extend((item.from as u32).to_be_bytes());
}

fn confirmations(members: usize) -> usize {
    if members < SUSPICION { 0 } else { SUSPICION - 2 }
}

/// `suspicionTimeout` and `remainingSuspicionTime`.
fn patience(members: usize, others: usize) -> u64 {
    let least = SUSPICION as f64 * (members as f64).log10().max(1.0) * PROBE_MS as f64;
    let wanted = confirmations(members);
    if wanted == 0 {
        return least as u64;
    }
    let most = least * SUSPICION_MOST;
    let part = (others as f64 + 1.0).ln() / (wanted as f64 + 1.0).ln();
    (most - part * (most - least)).max(least) as u64
}
