//! What the world drives: a member of whatever make. Must not know the network.

use crate::world::{addr, number};
use std::sync::Arc;
use swarm_gossip::{Effect, Exchange, Gossip, Roster, Settings};

/// What came of a message on a stream: what is wanted, what is sent on it, and how the next message is taken.
pub type Proceeded = (Vec<Effect>, Vec<Vec<u8>>, Option<Exchange>);

pub trait Machine: Send {
    fn new(member: usize, life: u32, seed: u64, settings: &Settings) -> Self;
    fn set_roster(&mut self, now: u64, roster: &Arc<Roster>) -> Vec<Effect>;
    fn receive(&mut self, now: u64, from: usize, message: &[u8]) -> Vec<Effect>;
    fn tick(&mut self, now: u64) -> Vec<Effect>;
    fn next_timer(&self) -> Option<u64>;
    fn open(&self, with: usize) -> Option<(Exchange, Vec<u8>)>;
    fn proceed(&mut self, now: u64, at: Option<Exchange>, said: (usize, &[u8])) -> Option<Proceeded>;
}

impl Machine for Gossip {
    fn new(member: usize, life: u32, seed: u64, settings: &Settings) -> Self {
        Self::new(number(member), addr(member), life, seed, settings.clone())
    }

    fn set_roster(&mut self, now: u64, roster: &Arc<Roster>) -> Vec<Effect> {
        self.set_roster(now, roster)
    }

    fn receive(&mut self, now: u64, from: usize, message: &[u8]) -> Vec<Effect> {
        self.receive(now, number(from), message).unwrap_or_default()
    }

    fn tick(&mut self, now: u64) -> Vec<Effect> {
        self.tick(now)
    }

    fn next_timer(&self) -> Option<u64> {
        self.next_timer()
    }

    fn open(&self, with: usize) -> Option<(Exchange, Vec<u8>)> {
        Some(self.open(number(with)))
    }

    fn proceed(
        &mut self,
        now: u64,
        at: Option<Exchange>,
        (from, bytes): (usize, &[u8]),
    ) -> Option<Proceeded> {
        let said = self.proceed(now, at, (number(from), bytes)).ok()?;
        Some((said.effects, said.messages, said.next))
    }
}
