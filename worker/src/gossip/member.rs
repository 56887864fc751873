//! This node as a member: keys, counters and what it thinks of others, around `swarm_gossip::Gossip`, which decides. Must not
//! know sockets: what is to be sent goes out as frames.

use super::boot;
use super::given::Given;
use super::streams::{Call, Turn};
use super::told::Told;
use super::{GossipKey, Liveness, Ring};
use std::net::SocketAddr;
use std::sync::Arc;
use swarm_gossip::frame::MAX_DATAGRAM;
use swarm_gossip::{Dropped, Effect, Exchange, Gossip, Inbox, Number, Opened, Outbox, Roster, Settings};
use swarm_model as model;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// What a frame costs of the work of a second, and one that a cipher was tried on in vain.
const LOOK: u32 = 1;
const CIPHER: u32 = 5;
/// Bytes of a message to a piece of news.
const PIECE: u32 = 24;

/// What leaves this host.
pub(super) enum Leaving {
    Datagram { frame: Vec<u8>, to: SocketAddr },
    Stream { with: Number, to: SocketAddr },
}

/// Who this node is, at this boot.
#[derive(Clone, Copy)]
pub(super) struct Me {
    pub number: Number,
    pub addr: SocketAddr,
    pub boot: u32,
}

pub(super) struct Member {
    gossip: Gossip,
    inbox: Inbox,
    outbox: Outbox,
    ring: Ring,
    /// What `ring` was made of.
    keys: Vec<model::GossipKey>,
    roster: Arc<Roster>,
    /// Whom the probe under way asks, and since when.
    asked: Option<(Number, Instant)>,
    begun: Instant,
    liveness: Arc<Liveness>,
    /// Of this second's work.
    spent: u32,
    told: Told,
}

impl Member {
    pub(super) fn new(me: Me, seed: u64, liveness: Arc<Liveness>) -> Self {
        Self {
            gossip: Gossip::new(me.number, me.addr, me.boot, seed, Settings::default()),
            inbox: Inbox::new(me.number),
            outbox: Outbox::new(me.number, me.boot),
            ring: Ring::default(),
            keys: Vec::new(),
            roster: Arc::default(),
            asked: None,
            begun: Instant::now(),
            liveness,
            spent: 0,
            told: Told::new(),
        }
    }

    /// What has been spent since it was asked last.
    pub(super) fn spent(&mut self) -> u32 {
        std::mem::take(&mut self.spent)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.gossip.next_timer().map(|ms| self.begun + std::time::Duration::from_millis(ms))
    }

    pub(super) fn tick(&mut self) -> Vec<Leaving> {
        let effects = self.gossip.tick(self.now());
        self.act(effects)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The members and keys that are assigned now.
    pub(super) fn follow(&mut self, given: &Given) -> Vec<Leaving> {
        if self.keys != given.keys {
            let key = |k: &model::GossipKey| GossipKey {
                generation: k.generation,
                secret: Zeroizing::new(k.secret.0),
            };
            self.ring = Ring::new(given.keys.iter().map(key).collect());
            self.keys.clone_from(&given.keys);
        }
        self.roster = Arc::new(self.roster.then(&given.roster));
        let members: std::collections::BTreeSet<_> =
            given.roster.iter().map(|(number, _)| number.node()).collect();
        self.inbox.admit(given.roster.iter().map(|(number, _)| *number));
        self.liveness.keep(|node| members.contains(node));
        let effects = self.gossip.set_roster(self.now(), &self.roster);
        self.act(effects)
    }

    pub(super) fn datagram(&mut self, frame: &[u8]) -> Vec<Leaving> {
        let opened = match frame.len() <= MAX_DATAGRAM {
            true => self.open(frame),
            false => self.refuse(Dropped::Shapeless),
        };
        let Some(opened) = opened else { return Vec::new() };
        self.charge(&opened.message);
        let effects = self.gossip.receive(self.now(), opened.sender, &opened.message);
        self.act(effects.unwrap_or_default())
    }

    /// What a stream asks. It is answered before anything else happens; not at all, and it is closed.
    pub(super) fn call(&mut self, call: Call) -> Vec<Leaving> {
        match call {
            Call::Opened { with, reply } => {
                let (exchange, message) = self.gossip.open(with);
                let turn =
                    self.seal(with, &message).map(|frame| Turn { frames: vec![frame], next: Some(exchange) });
                let _ = reply.send(turn);
                Vec::new()
            }
            Call::Frame { exchange, frame, reply } => {
                let (turn, leaving) = self.proceed(exchange, &frame);
                let _ = reply.send(turn);
                leaving
            }
        }
    }

    fn proceed(&mut self, exchange: Option<Exchange>, frame: &[u8]) -> (Option<Turn>, Vec<Leaving>) {
        let Some(Opened { sender, message }) = self.open(frame) else { return (None, Vec::new()) };
        self.charge(&message);
        let Ok(said) = self.gossip.proceed(self.now(), exchange, (sender, &message)) else {
            return (None, Vec::new());
        };
        let frames: Option<Vec<_>> = said.messages.iter().map(|message| self.seal(sender, message)).collect();
        let turn = frames.map(|frames| Turn { frames, next: said.next });
        (turn, self.act(said.effects))
    }

    /// Each piece of news in it costs a look.
    fn charge(&mut self, message: &[u8]) {
        self.spent =
            self.spent.saturating_add(u32::try_from(message.len()).unwrap_or(u32::MAX) / PIECE * LOOK);
    }

    fn seal(&mut self, to: Number, message: &[u8]) -> Option<Vec<u8>> {
        self.outbox.seal(&mut self.ring, to, message)
    }

    fn open(&mut self, frame: &[u8]) -> Option<Opened> {
        let latest = boot::now_s().saturating_add(boot::AHEAD_S);
        self.inbox.set_latest(latest);
        self.gossip.set_latest(latest);
        match self.inbox.open(&mut self.ring, frame) {
            Ok(opened) => {
                self.spent += LOOK;
                Some(opened)
            }
            Err(why) => self.refuse(why),
        }
    }

    fn refuse(&mut self, why: Dropped) -> Option<Opened> {
        self.liveness.dropped(why);
        self.spent += if why == Dropped::Forged { CIPHER } else { LOOK };
        None
    }

    fn act(&mut self, effects: Vec<Effect>) -> Vec<Leaving> {
        effects.into_iter().filter_map(|effect| self.act_on(effect)).collect()
    }

    fn act_on(&mut self, effect: Effect) -> Option<Leaving> {
        match effect {
            Effect::Send { to, addr, message } => {
                let frame = self.seal(to, &message)?;
                return Some(Leaving::Datagram { frame, to: addr });
            }
            Effect::Exchange { with, addr } => return Some(Leaving::Stream { with, to: addr }),
            Effect::Verdict { of, verdict } => {
                self.told.tell(of, verdict);
                self.liveness.set(of.node(), verdict);
            }
            Effect::Unanswered { of } => self.liveness.missed(of.node()),
            Effect::Met { of } => self.liveness.met(of.node()),
            Effect::Probe { of } => self.asked = Some((of, Instant::now())),
            Effect::Answer { of } => {
                if let Some((_, at)) = self.asked.take().filter(|(asked, _)| *asked == of) {
                    self.liveness.answered(of.node(), at.elapsed());
                }
            }
        }
        None
    }
}
