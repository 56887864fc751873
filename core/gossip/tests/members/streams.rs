//! Streams between members: what is sent over one arrives, in order, or the stream ends. Knows what TCP adds to it.

use crate::machine::Machine;
use crate::world::{Event, World};
use std::collections::HashMap;
use swarm_gossip::Exchange;
use swarm_gossip::frame::{HEADER_BYTES, TAG_BYTES};

/// As the product gives it up.
const DEADLINE_MS: u64 = 10_000;
/// IPv4 and TCP with timestamps; what is in a packet at most.
const PACKET: usize = 52;
const SEGMENT: usize = 1448;
/// Three to open it and four to close it.
const CEREMONY: u64 = 7;
/// Two calls nobody answers.
const CALLS: u64 = 2;
/// Lost packets are sent again after so long.
const AGAIN_MS: u64 = 200;

struct Stream {
    begun: u64,
    arrives: u64,
    /// How each end takes what comes next.
    ends: HashMap<usize, Exchange>,
}

#[derive(Default)]
pub struct Streams {
    open: HashMap<u64, Stream>,
    count: u64,
}

impl<M: Machine> World<M> {
    /// `from` has called `to`.
    pub fn call(&mut self, from: usize, to: usize) {
        if !self.members[to].running || self.members[from].island != self.members[to].island {
            self.count(CALLS, 0);
            return;
        }
        self.count(CEREMONY, 0);
        self.streams.count += 1;
        let (id, at) = (self.streams.count, self.now + self.delay() + self.delay());
        self.streams.open.insert(id, Stream { begun: self.now, arrives: at, ends: HashMap::new() });
        self.push(at, Event::Opened { member: from, with: to, stream: id });
    }

    pub fn opened(&mut self, member: usize, with: usize, id: u64) {
        let Some((exchange, message)) = self.members[member].machine.open(with) else { return };
        if let Some(stream) = self.streams.open.get_mut(&id) {
            stream.ends.insert(member, exchange);
            self.say((member, with), id, message);
        }
    }

    /// What arrived on one: the effects it has at `to`.
    pub fn said(&mut self, (from, to): (usize, usize), id: u64, message: &[u8]) {
        let now = self.now + self.members[to].clock_ahead;
        let over = |stream: &Stream| self.now > stream.begun + DEADLINE_MS;
        if self.streams.open.get(&id).is_none_or(over) {
            self.streams.open.remove(&id);
            return;
        }
        let exchange = self.streams.open.get_mut(&id).and_then(|stream| stream.ends.remove(&to));
        match self.members[to].machine.proceed(now, exchange, (from, message)) {
            None => drop(self.streams.open.remove(&id)),
            Some((effects, messages, next)) => {
                messages.into_iter().for_each(|message| self.say((to, from), id, message));
                if let (Some(next), Some(stream)) = (next, self.streams.open.get_mut(&id)) {
                    stream.ends.insert(to, next);
                }
                self.take(to, effects);
            }
        }
    }

    fn say(&mut self, (from, to): (usize, usize), id: u64, message: Vec<u8>) {
        let length = 4 + HEADER_BYTES + TAG_BYTES + message.len();
        // Every other packet is acknowledged.
        let packets = length.div_ceil(SEGMENT) as u64;
        self.count(packets + packets.div_ceil(2), length);
        if self.members[from].island != self.members[to].island {
            self.streams.open.remove(&id);
            return;
        }
        let late = if self.below(1000) < u64::from(self.lost) { AGAIN_MS } else { 0 };
        let at = self.now + self.delay() + late;
        let Some(stream) = self.streams.open.get_mut(&id) else { return };
        stream.arrives = stream.arrives.max(at) + 1;
        let at = stream.arrives;
        self.push(at, Event::Said { to, from, stream: id, message });
    }

    fn count(&mut self, packets: u64, length: usize) {
        self.packets += packets;
        self.bytes += packets * PACKET as u64 + length as u64;
    }
}
