//! The next steps towards what is wanted. Knows: the order of steps, what stays until when. Must not know: how a key is
//! made, or the time of day.
//!
//! No step writes an association over, and none is made twice under one name: one that is missing although it was made
//! asks for another incarnation, and with it for other keys. So no nonce comes twice, and no old packet is new again.

use super::name::{End, Spi, Tunnel};
use super::peer::{PeerState, WantedPeer};
use super::sa::{Observed, Policy, Purpose, SaId, Seen, Step};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;
use swarm_model::{GenerationNumber, Incarnation, NodeId, PairRing, PairSecret};

/// A key that is used is probed so often, and that is also what tells its receiver that it is used.
pub const PROBE_MS: u64 = 20_000;
/// A key on which nothing came for so long is not used any more: five probes.
pub const QUIET_MS: u64 = 5 * PROBE_MS;
/// What belongs to a peer that is none any more stays for so long without a policy, in case it is one again soon: keys
/// that are gone are not made again, and another incarnation costs everybody.
pub const LINGER_MS: u64 = 600_000;
/// Probes of a key that has yet to answer: the pause before the next, by how many went before.
const PAUSES_MS: [u64; 8] = [0, 50, 100, 200, 400, 1000, 2000, 5000];
/// Not oftener than this another incarnation.
const RENEWAL_MS: u64 = 10_000;

/// What should be encrypted from here, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub node: NodeId,
    pub vtep: IpAddr,
    /// An encrypted network is built here, whether or not anybody else is on it.
    pub any: bool,
    pub peers: BTreeMap<NodeId, WantedPeer>,
}

/// What one run of the daemon knows beside what it can read.
#[derive(Debug, Clone)]
pub struct Memory {
    own: Incarnation,
    renewed_ms: Option<u64>,
    /// Every association made by this incarnation, also of those that are gone.
    made: BTreeSet<SaId>,
    /// When a probe last came back through it.
    verified: BTreeMap<SaId, u64>,
    probed: BTreeMap<SaId, Probed>,
    counts: BTreeMap<SaId, Count>,
}

#[derive(Debug, Clone, Copy)]
struct Probed {
    times: usize,
    at_ms: u64,
}

/// What was seen of one association.
#[derive(Debug, Clone, Copy)]
struct Count {
    packets: u64,
    /// When that changed last, or since when it may be judged by that.
    since_ms: u64,
    /// Since when nobody wants it.
    stale_ms: Option<u64>,
    /// Since when the other end is no peer.
    departed_ms: Option<u64>,
}

/// What is to be done now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    pub steps: Vec<Step>,
    /// Send one through each of these: point the probes' way at it first.
    pub probes: Vec<SaId>,
    pub peers: BTreeMap<NodeId, PeerState>,
    /// Draw another incarnation ([`Memory::renew`]) and tell it.
    pub renew: bool,
    /// Look again after so long.
    pub again_ms: u64,
}

impl Memory {
    pub fn new(own: Incarnation) -> Self {
        let (made, verified, probed, counts) = Default::default();
        Self { own, renewed_ms: None, made, verified, probed, counts }
    }

    pub fn own(&self) -> Incarnation {
        self.own
    }

    /// From here on keys are made with this one. What is sent goes by the old ones until the new are verified.
    pub fn renew(&mut self, own: Incarnation, now_ms: u64) {
        self.own = own;
        self.renewed_ms = Some(now_ms);
        self.made.clear();
        self.verified.clear();
        self.probed.clear();
    }

    /// A probe came back. True when that is the first: something follows from it.
    pub fn answered(&mut self, id: SaId, now_ms: u64) -> bool {
        self.made.contains(&id) && self.verified.insert(id, now_ms).is_none()
    }

    /// An association was not made, and nothing was ever sent with its key.
    pub fn not_made(&mut self, id: SaId) {
        self.made.remove(&id);
    }

    fn may_renew(&self, now_ms: u64) -> bool {
        self.renewed_ms.is_none_or(|at| now_ms >= at + RENEWAL_MS)
    }

    /// Notes what is counted, and tells whether an association counts less than it did: it is another one then, made by
    /// somebody else under the same key.
    fn count(&mut self, observed: &Observed, now_ms: u64) -> bool {
        self.counts.retain(|id, _| observed.sas.contains_key(id));
        let mut lost = false;
        for (id, Seen { packets, .. }) in &observed.sas {
            let first = Count { packets: *packets, since_ms: now_ms, stale_ms: None, departed_ms: None };
            let count = self.counts.entry(*id).or_insert(first);
            lost |= *packets < count.packets && self.made.contains(id);
            if *packets != count.packets {
                (count.packets, count.since_ms) = (*packets, now_ms);
            }
        }
        lost
    }

    /// The pause before the next probe is over, or how long it still is.
    fn probe(&mut self, id: SaId, used: bool, now_ms: u64) -> Result<(), u64> {
        let probed = self.probed.entry(id).or_insert(Probed { times: 0, at_ms: 0 });
        let pause = PAUSES_MS.get(probed.times).or(PAUSES_MS.last()).copied().unwrap_or_default();
        let due = probed.at_ms + if used { PROBE_MS } else { pause };
        if probed.times > 0 && now_ms < due {
            return Err(due - now_ms);
        }
        *probed = Probed { times: probed.times + 1, at_ms: now_ms };
        Ok(())
    }
}

/// What to do next. `spi` gives the index that belongs to a name.
pub fn plan(
    wanted: &Wanted,
    observed: &Observed,
    memory: &mut Memory,
    spi: &dyn Fn(&PairSecret, &Tunnel) -> Spi,
    now_ms: u64,
) -> Turn {
    let lost = memory.count(observed, now_ms);
    let mut planner =
        Planner { wanted, observed, memory, spi, now_ms, kept: BTreeSet::new(), out: Out::default() };
    planner.out.turn.renew = lost;
    planner.out.turn.again_ms = PROBE_MS;
    planner.blocks();
    for (node, peer) in &wanted.peers {
        let state = planner.peer(*node, peer);
        planner.out.turn.peers.insert(*node, state);
    }
    planner.departed_ways();
    planner.stale();
    planner.finish()
}

/// Steps by kind, in the order in which the kinds are taken.
#[derive(Default)]
struct Out {
    turn: Turn,
    add: Vec<Step>,
    ways: Vec<Step>,
    less_ways: Vec<Step>,
    less: Vec<Step>,
}

struct Planner<'a> {
    wanted: &'a Wanted,
    observed: &'a Observed,
    memory: &'a mut Memory,
    spi: &'a dyn Fn(&PairSecret, &Tunnel) -> Spi,
    now_ms: u64,
    kept: BTreeSet<SaId>,
    out: Out,
}

impl Planner<'_> {
    /// Before anything else: what is marked and has no way is dropped.
    fn blocks(&mut self) {
        for (purpose, ipv4) in Purpose::ALL.into_iter().flat_map(|p| [(p, true), (p, false)]) {
            let block = Policy::Block { purpose, ipv4 };
            match (self.wanted.any, self.observed.policies.contains_key(&block)) {
                (true, false) => self.out.turn.steps.push(Step::PutPolicy(block, None)),
                (false, true) => self.out.less_ways.push(Step::DeletePolicy(block)),
                (true, true) | (false, false) => {}
            }
        }
    }

    fn peer(&mut self, node: NodeId, peer: &WantedPeer) -> PeerState {
        let Some(ring) = &peer.ring else {
            return self.waiting(peer, "no manager has sent the secrets for it yet");
        };
        let Some(incarnation) = peer.incarnation else {
            return self.waiting(peer, "it has not said yet that it can encrypt");
        };
        let own = End { node: self.wanted.node, incarnation: self.memory.own, vtep: self.wanted.vtep };
        let other = End { node, incarnation, vtep: peer.vtep };
        for generation in ring.secrets.keys() {
            self.association(ring, Tunnel { generation: *generation, from: other, to: own });
        }
        match self.association(ring, Tunnel { generation: ring.current, from: own, to: other }) {
            Some(id) => self.send(id, ring.current, peer),
            None => self.waiting(peer, "another key is being made for it"),
        }
    }

    /// Sees that an association is there. `None` when it is not and may not be made.
    fn association(&mut self, ring: &PairRing, tunnel: Tunnel) -> Option<SaId> {
        let spi = (self.spi)(ring.secrets.get(&tunnel.generation)?, &tunnel);
        let id = SaId { src: tunnel.from.vtep, dst: tunnel.to.vtep, spi };
        match self.observed.sas.get(&id) {
            // Found and not made by this incarnation: its key is one of ours only by chance or by somebody's hand.
            Some(seen) => {
                self.out.turn.renew |= seen.is_worn() || !self.memory.made.contains(&id);
                self.kept.insert(id);
                self.memory.made.contains(&id).then_some(id)
            }
            None if self.memory.made.contains(&id) => {
                self.out.turn.renew = true;
                None
            }
            None => {
                self.memory.made.insert(id);
                self.out.add.push(Step::AddSa { id, tunnel });
                Some(id)
            }
        }
    }

    fn way(&self, purpose: Purpose, peer: &WantedPeer) -> Policy {
        Policy::Way { purpose, src: self.wanted.vtep, dst: peer.vtep }
    }

    fn used(&self, peer: &WantedPeer) -> Option<SaId> {
        let spi = (*self.observed.policies.get(&self.way(Purpose::Data, peer))?)?;
        Some(SaId { src: self.wanted.vtep, dst: peer.vtep, spi })
    }

    /// Probes the key that is to be used, and uses it once a probe has come back.
    fn send(&mut self, id: SaId, generation: GenerationNumber, peer: &WantedPeer) -> PeerState {
        let verified = self.memory.verified.get(&id).copied();
        self.probe(id, verified.is_some());
        match verified {
            Some(at_ms) => {
                self.put_data_way(peer, id.spi);
                PeerState::Verified { generation, at_ms }
            }
            None => self.before(peer, "no probe has come back from it yet"),
        }
    }

    fn probe(&mut self, id: SaId, used: bool) {
        match self.memory.probe(id, used, self.now_ms) {
            Ok(()) => {
                self.out.turn.probes.push(id);
                let next =
                    self.memory.probed.get(&id).and_then(|p| PAUSES_MS.get(p.times)).or(PAUSES_MS.last());
                self.again(if used { PROBE_MS } else { next.copied().unwrap_or(PROBE_MS) });
            }
            Err(left) => self.again(left),
        }
    }

    fn again(&mut self, after_ms: u64) {
        let turn = &mut self.out.turn;
        turn.again_ms = turn.again_ms.min(after_ms.max(10));
    }

    fn put_data_way(&mut self, peer: &WantedPeer, spi: Spi) {
        let way = self.way(Purpose::Data, peer);
        if self.observed.policies.get(&way) != Some(&Some(spi)) {
            self.out.ways.push(Step::PutPolicy(way, Some(spi)));
        }
    }

    /// Nothing is changed for this peer. What is there stays.
    fn waiting(&mut self, peer: &WantedPeer, why: &'static str) -> PeerState {
        let both = (self.wanted.vtep, peer.vtep);
        let of_peer = |id: &&SaId| (id.src, id.dst) == both || (id.dst, id.src) == both;
        self.kept.extend(self.observed.sas.keys().filter(of_peer).copied());
        self.before(peer, why)
    }

    /// What is sent goes on by the key it goes by, if there is one. Its receiver is shown that it is used.
    fn before(&mut self, peer: &WantedPeer, why: &'static str) -> PeerState {
        match self.used(peer).filter(|id| self.observed.sas.contains_key(id)) {
            Some(used) => {
                self.kept.insert(used);
                self.probe(used, true);
                PeerState::Moving
            }
            None => PeerState::Pending(why),
        }
    }

    fn departed_ways(&mut self) {
        let wanted: BTreeSet<Policy> = self
            .wanted
            .peers
            .values()
            .flat_map(|peer| Purpose::ALL.map(|purpose| self.way(purpose, peer)))
            .collect();
        let gone =
            self.observed.policies.keys().filter(|p| matches!(p, Policy::Way { .. }) && !wanted.contains(p));
        self.out.less_ways.extend(gone.copied().map(Step::DeletePolicy));
    }

    /// Associations nobody names any more: those of peers go when what took their place is proven and they are quiet, the
    /// others after a while.
    fn stale(&mut self) {
        for id in self.observed.sas.keys() {
            let kept = self.kept.contains(id);
            let settled = self.settled(id);
            let inbound = id.dst == self.wanted.vtep;
            let Some(count) = self.memory.counts.get_mut(id) else { continue };
            let departed = settled.is_none().then_some(self.now_ms);
            count.departed_ms = departed.map(|now| count.departed_ms.unwrap_or(now));
            if kept {
                count.stale_ms = None;
                continue;
            }
            let stale_ms = *count.stale_ms.get_or_insert(self.now_ms);
            if settled != Some(true) {
                // The peer may have had no chance yet to move to the new key: it is quiet from when it has.
                count.since_ms = self.now_ms;
            }
            let quiet = self.now_ms.saturating_sub(count.since_ms.max(stale_ms)) >= QUIET_MS;
            let over = match settled {
                None => count.departed_ms.is_some_and(|then| self.now_ms >= then + LINGER_MS),
                Some(settled) => settled && (quiet || !inbound),
            };
            if over {
                self.out.less.push(Step::DeleteSa(*id));
            }
        }
    }

    /// Whether what is sent to the peer at the other end goes by the newest key; `None` when no peer is there.
    fn settled(&self, id: &SaId) -> Option<bool> {
        let other = if id.src == self.wanted.vtep { id.dst } else { id.src };
        let (node, _) = self.wanted.peers.iter().find(|(_, peer)| peer.vtep == other)?;
        let ours = id.src == self.wanted.vtep || id.dst == self.wanted.vtep;
        ours.then(|| matches!(self.out.turn.peers.get(node), Some(PeerState::Verified { .. })))
    }

    fn finish(self) -> Turn {
        let Out { mut turn, add, ways, less_ways, less } = self.out;
        turn.steps.extend([add, ways, less_ways, less].into_iter().flatten());
        turn.renew &= self.memory.may_renew(self.now_ms);
        turn
    }
}
