//! Two hosts, a manager that gives them secrets late, kernels made of values: whatever happens in whatever order, what is
//! sent is always understood at the other end, no key is made twice, and in the end the newest key is used.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use swarm_model::{GenerationNumber, Id, Incarnation, NodeId, PairRing, PairSecret};
use swarm_overlay::esp::*;

fn node(n: usize) -> NodeId {
    Id::from_random([n as u8 + 1; 16])
}

fn vtep(n: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, n as u8 + 1])
}

fn incarnation(number: u64) -> Incarnation {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Incarnation(bytes)
}

fn secret(generation: GenerationNumber) -> PairSecret {
    PairSecret([generation as u8; 32])
}

/// Stands for HKDF: anything that differs gives another number.
fn spi(secret: &PairSecret, tunnel: &Tunnel) -> Spi {
    let mut hasher = DefaultHasher::new();
    (secret.0, tunnel.label()).hash(&mut hasher);
    Spi::from_bytes(((hasher.finish() >> 16) as u32).to_be_bytes())
}

struct Host {
    me: usize,
    wanted: Wanted,
    memory: Memory,
    kernel: Observed,
    /// Everything ever made here.
    made: BTreeSet<SaId>,
    states: BTreeMap<NodeId, PeerState>,
    renewals: u64,
}

struct World {
    now: u64,
    newest: GenerationNumber,
    drawn: u64,
    told: [Incarnation; 2],
    apart: bool,
    hosts: [Host; 2],
}

impl World {
    fn new() -> Self {
        let host = |me| {
            let wanted = Wanted { node: node(me), vtep: vtep(me), any: true, peers: BTreeMap::new() };
            let memory = Memory::new(incarnation(me as u64));
            let (kernel, made, states) = Default::default();
            Host { me, wanted, memory, kernel, made, states, renewals: 0 }
        };
        let told = [incarnation(0), incarnation(1)];
        Self { now: 1000, newest: 3, drawn: 2, told, apart: false, hosts: [host(0), host(1)] }
    }

    fn draw(&mut self, host: usize) -> Incarnation {
        self.drawn += 1;
        self.told[host] = incarnation(self.drawn);
        self.told[host]
    }

    fn ring(&self) -> PairRing {
        let generations = self.newest - 2..=self.newest;
        PairRing { current: self.newest - 1, secrets: generations.map(|g| (g, secret(g))).collect() }
    }

    fn deliver(&mut self, to: usize) {
        let other = 1 - to;
        let peer =
            WantedPeer { vtep: vtep(other), incarnation: Some(self.told[other]), ring: Some(self.ring()) };
        let peers = if self.apart { BTreeMap::new() } else { BTreeMap::from([(node(other), peer)]) };
        self.hosts[to].wanted.peers = peers;
    }

    fn turn(&mut self, of: usize) {
        let now = self.now;
        let host = &mut self.hosts[of];
        let turn = plan(&host.wanted, &host.kernel, &mut host.memory, &spi, now);
        turn.steps.iter().for_each(|step| host.take(step));
        host.states = turn.peers;
        if turn.renew {
            let own = self.draw(of);
            self.hosts[of].memory.renew(own, now);
            self.hosts[of].renewals += 1;
        }
        for id in turn.probes {
            let heard = self.carry(of, id);
            if heard {
                self.hosts[of].memory.answered(id, now);
            }
        }
        self.check();
    }

    /// A packet through an association: counted at both ends if both have it.
    fn carry(&mut self, from: usize, id: SaId) -> bool {
        let sent = self.hosts[from].kernel.sas.get_mut(&id).map(|seen| seen.packets += 1);
        let came = self.hosts[1 - from].kernel.sas.get_mut(&id).map(|seen| seen.packets += 1);
        sent.is_some() && came.is_some()
    }

    fn check(&self) {
        for host in &self.hosts {
            let Some(id) = host.used() else { continue };
            if host.kernel.sas.contains_key(&id) {
                let understood = self.hosts[1 - host.me].kernel.sas.contains_key(&id);
                assert!(understood || self.apart, "{id:?} is sent with and not understood");
            }
        }
    }

    fn pass(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.now += PROBE_MS;
            self.turn(0);
            self.turn(1);
        }
    }

    fn settle(&mut self) {
        self.apart = false;
        for _ in 0..4 {
            (0..2).for_each(|host| self.deliver(host));
            self.pass(1);
        }
        for host in &self.hosts {
            let state = host.states.get(&node(1 - host.me));
            let newest = matches!(state, Some(PeerState::Verified { generation, .. }) if *generation == self.newest - 1);
            assert!(newest, "host {} ends with {state:?}", host.me);
            assert!(host.kernel.sas.contains_key(&host.used().expect("a way")));
        }
        self.pass(7);
        // Three in, one out; what is stale has gone.
        assert_eq!(self.hosts.each_ref().map(|h| h.kernel.sas.len()), [4, 4]);
    }
}

impl Host {
    fn take(&mut self, step: &Step) {
        match step {
            Step::AddSa { id, tunnel } => {
                assert!(self.made.insert(*id), "host {} makes {id:?} twice ({tunnel:?})", self.me);
                self.kernel.sas.insert(*id, Seen { extended: true, ..Seen::default() });
            }
            Step::DeleteSa(id) => drop(self.kernel.sas.remove(id)),
            Step::PutPolicy(policy, spi) => drop(self.kernel.policies.insert(*policy, *spi)),
            Step::DeletePolicy(policy) => drop(self.kernel.policies.remove(policy)),
        }
    }

    fn used(&self) -> Option<SaId> {
        let (src, dst) = (vtep(self.me), vtep(1 - self.me));
        let spi = (*self.kernel.policies.get(&Policy::Way { purpose: Purpose::Data, src, dst })?)?;
        Some(SaId { src, dst, spi })
    }
}

#[derive(Debug, Clone)]
enum Event {
    Rotate,
    Deliver(usize),
    Turn(usize),
    Restart(usize),
    /// An association that is sent with is deleted by hand.
    Lose(usize),
    Wear(usize),
    Pass(usize),
    /// The last endpoint of the shared network goes, or one comes back.
    Apart(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Rotate),
        6 => (0usize..2).prop_map(Event::Deliver),
        8 => (0usize..2).prop_map(Event::Turn),
        1 => (0usize..2).prop_map(Event::Restart),
        1 => (0usize..2).prop_map(Event::Lose),
        1 => (0usize..2).prop_map(Event::Wear),
        3 => (1usize..8).prop_map(Event::Pass),
        1 => any::<bool>().prop_map(Event::Apart),
    ]
}

fn happen(world: &mut World, event: &Event) {
    match event {
        Event::Rotate => world.newest += 1,
        Event::Deliver(to) => world.deliver(*to),
        Event::Turn(of) => {
            world.now += 100;
            world.turn(*of);
        }
        Event::Restart(of) => {
            let own = world.draw(*of);
            world.hosts[*of].memory = Memory::new(own);
        }
        Event::Lose(of) => {
            if let Some(id) = world.hosts[*of].used() {
                world.hosts[*of].kernel.sas.remove(&id);
            }
        }
        Event::Wear(of) => {
            let used = world.hosts[*of].used();
            if let Some(seen) = used.and_then(|id| world.hosts[*of].kernel.sas.get_mut(&id)) {
                seen.packets = Limits::SOFT_PACKETS;
            }
        }
        Event::Pass(rounds) => world.pass(*rounds),
        // Both hear of it before what lingers is gone.
        Event::Apart(apart) => {
            world.apart = *apart;
            (0..2).for_each(|host| world.deliver(host));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_sent_is_understood(events in proptest::collection::vec(event(), 0..120)) {
        let mut world = World::new();
        (0..2).for_each(|host| world.deliver(host));
        world.pass(2);
        for event in &events {
            happen(&mut world, event);
            world.check();
        }
        world.settle();
    }

    /// Every part of a name counts: two tunnels that differ in anything have different labels.
    #[test]
    fn names_are_apart(a in tunnel(), b in tunnel()) {
        prop_assert_eq!(a == b, a.label() == b.label());
    }
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    let end = || {
        (0usize..3, 0u64..3, 0usize..3).prop_map(|(n, i, v)| {
            let vtep = if v == 2 { IpAddr::from([0; 16]) } else { vtep(v) };
            End { node: node(n), incarnation: incarnation(i), vtep }
        })
    };
    (0u64..3, end(), end()).prop_map(|(generation, from, to)| Tunnel { generation, from, to })
}

/// A host settled with its peer.
fn settled() -> World {
    let mut world = World::new();
    world.settle();
    world
}

#[test]
fn running_it_again_takes_no_step() {
    let mut world = settled();
    let host = &mut world.hosts[0];
    let turn = plan(&host.wanted, &host.kernel, &mut host.memory, &spi, world.now);
    assert_eq!((turn.steps, turn.renew), (vec![], false));
}

#[test]
fn nothing_is_sent_to_who_has_not_answered() {
    let mut world = World::new();
    world.deliver(0);
    world.pass(30);
    assert_eq!(world.hosts[0].used(), None);
    assert!(matches!(world.hosts[0].states[&node(1)], PeerState::Pending(_)));
    let block = Policy::Block { purpose: Purpose::Data, ipv4: true };
    assert!(world.hosts[0].kernel.policies.contains_key(&block));
}

#[test]
fn a_removed_node_is_sent_nothing_and_its_secrets_make_no_key() {
    let mut world = settled();
    world.apart = true;
    world.newest += 1;
    world.deliver(0);
    let before = world.hosts[0].made.len();
    world.turn(0);
    assert_eq!(world.hosts[0].used(), None, "the way is gone with the first turn");
    world.now += LINGER_MS;
    world.turn(0);
    world.now += LINGER_MS;
    world.turn(0);
    assert_eq!((world.hosts[0].kernel.sas.len(), world.hosts[0].made.len()), (0, before));
}

#[test]
fn who_comes_back_soon_costs_nothing() {
    let mut world = settled();
    world.apart = true;
    world.deliver(0);
    world.pass(3);
    world.settle();
    assert_eq!(world.hosts.each_ref().map(|h| h.renewals), [0, 0]);
}

#[test]
fn without_managers_a_restarted_host_goes_on_with_what_it_finds() {
    let mut world = settled();
    let used = world.hosts[0].used();
    let own = world.draw(0);
    world.hosts[0].memory = Memory::new(own);
    // As from the file a restart begins with: peers, and no secrets.
    for peer in world.hosts[0].wanted.peers.values_mut() {
        peer.ring = None;
    }
    world.pass(100);
    assert_eq!(world.hosts[0].used(), used);
    assert_eq!(world.hosts[0].states[&node(1)], PeerState::Moving);
    world.settle();
}

#[test]
fn an_association_made_by_somebody_else_under_our_key_is_not_trusted() {
    let mut world = settled();
    let id = world.hosts[0].used().expect("a way");
    world.pass(2);
    world.hosts[0].kernel.sas.insert(id, Seen { extended: true, ..Seen::default() });
    world.turn(0);
    assert_eq!(world.hosts[0].renewals, 1);
    world.settle();
    assert_ne!(world.hosts[0].used(), Some(id));
}
