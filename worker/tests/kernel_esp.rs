//! Encryption between two hosts, through the real kernel. Needs ESP and AES-GCM: where those are missing nothing is tested
//! here, and `tests/vm/run.sh` runs this same program in a virtual machine that has them.

mod net;

use net::{World, eventually, must, run};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::*;
use swarm_netns::NetNs;
use swarm_overlay::esp::{PeerState, Wanted, WantedPeer};
use swarm_worker::esp::{Aim, Esp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

struct Side {
    esp: Esp,
    aims: watch::Sender<Option<Arc<Aim>>>,
    stop: CancellationToken,
}

struct Pair {
    world: World,
    a: NetNs,
    sides: Vec<Side>,
    newest: GenerationNumber,
}

fn has_esp() -> bool {
    let has = swarm_worker::esp::lacks(true).is_none();
    if !has {
        println!("not tested: {}", swarm_worker::esp::lacks(true).unwrap_or_default());
    }
    has
}

fn pair() -> Pair {
    let mut world = World::new(2, 1500);
    let network = world.network(1, &["10.0.1.0/24"], |spec| spec.encrypted = true);
    let plain = world.network(2, &["10.0.2.0/24"], |_| {});
    let (a, b) = (world.sandbox(0, 1), world.sandbox(1, 2));
    world.attach(0, network, a, &["10.0.1.2/24"]);
    world.attach(1, network, b, &["10.0.1.3/24"]);
    world.attach(0, plain, a, &["10.0.2.2/24"]);
    world.attach(1, plain, b, &["10.0.2.3/24"]);
    world.apply_all();
    let a = world.in_sandbox(0, a);
    world.count();
    let sides = (0..2).map(|host| start(&world, host)).collect();
    Pair { world, a, sides, newest: 3 }
}

/// As a daemon starts: nothing is known yet.
fn start(world: &World, host: usize) -> Side {
    let (aims, seen) = watch::channel(None);
    let stop = CancellationToken::new();
    let ends = stop.clone();
    let esp = world.hosts[host].block_on(|_| async move { Esp::start(seen, ends) });
    Side { esp, aims, stop }
}

impl Pair {
    /// As a manager does: the ring, and what the other side has told.
    fn tell(&self, host: usize) {
        let other = 1 - host;
        let generations = self.newest - 2..=self.newest;
        let secret = |g: GenerationNumber| (g, PairSecret([u8::try_from(g).unwrap_or_default(); 32]));
        let peer = WantedPeer {
            vtep: self.world.hosts[other].addr,
            incarnation: *self.sides[other].esp.incarnation.borrow(),
            ring: Some(PairRing { current: self.newest, secrets: generations.map(secret).collect() }),
        };
        self.peers(host, BTreeMap::from([(self.world.hosts[other].node, peer)]));
    }

    fn peers(&self, host: usize, peers: BTreeMap<NodeId, WantedPeer>) {
        let (node, vtep) = (self.world.hosts[host].node, self.world.hosts[host].addr);
        let aim = Aim { wanted: Wanted { node, vtep, any: true, peers }, port: 4789 };
        self.sides[host].aims.send_if_modified(|held| {
            let news = held.as_deref() != Some(&aim);
            *held = Some(Arc::new(aim));
            news
        });
    }

    fn state(&self, host: usize) -> Option<PeerState> {
        self.sides[host].esp.status.borrow().peers.get(&self.world.hosts[1 - host].node).cloned()
    }

    /// Both are told what there is until both send by the newest key.
    fn settle(&self) {
        let newest = |host: usize| matches!(self.state(host), Some(PeerState::Verified { generation, .. }) if generation == self.newest);
        let mut looks = 0;
        eventually("both send by the current key", || {
            looks += 1;
            if looks % 300 == 0 {
                self.sides.iter().for_each(|side| println!("{:?}", *side.esp.status.borrow()));
            }
            (0..2).for_each(|host| self.tell(host));
            (0..2).all(newest)
        });
    }

    fn ping(&self) -> bool {
        run(&self.a, "ping -c 3 -i 0.05 -W 1 10.0.1.3").is_ok()
    }
}

/// Pings without a pause while something happens; what came back.
fn under_load(a: &NetNs, what: impl FnOnce()) -> String {
    let a = a.clone();
    let load = std::thread::spawn(move || must(&a, "ping -q -i 0.005 -c 1200 -W 2 10.0.1.3"));
    what();
    load.join().unwrap()
}

#[allow(clippy::disallowed_methods, reason = "load needs time to pass")]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[test]
fn encrypted_means_encrypted_or_silent() {
    if !has_esp() {
        return;
    }
    let mut pair = pair();
    assert!(!pair.ping(), "where nothing is known of encryption it is silent");
    (0..2).for_each(|host| pair.peers(host, BTreeMap::new()));
    assert!(!pair.ping(), "without secrets too");
    must(&pair.a, "ping -c 1 -W 1 10.0.2.3");
    assert_eq!(pair.world.counted(), [0, 0, 2], "ESP, of the encrypted network in clear, of the plain one");
    pair.settle();
    assert!(pair.ping());
    let [esp, clear, _] = pair.world.counted();
    assert!(esp >= 6 && clear == 0, "{esp} ESP, {clear} clear");
    must(&pair.a, "ping -c 1 -W 1 -M do -s 1388 10.0.1.3");

    // Rotations, told to the one side and then to the other.
    let (newest, a) = (pair.newest, pair.a.clone());
    let said = under_load(&a, || {
        for turn in 1..=10 {
            pair.newest = newest + turn;
            let first = usize::try_from(turn % 2).unwrap_or_default();
            pair.tell(first);
            pause(300);
            pair.tell(1 - first);
            pause(200);
        }
    });
    assert!(said.contains(" 0% packet loss"), "{said}");
    pair.settle();

    // The one daemon dies and comes back.
    pair.sides[0].stop.cancel();
    let restarted = start(&pair.world, 0);
    let before = *pair.sides[0].esp.incarnation.borrow();
    pair.sides[0] = restarted;
    let said = under_load(&a, || {
        pause(500);
        pair.settle();
    });
    assert!(said.contains(" 0% packet loss"), "{said}");
    assert_ne!(before, *pair.sides[0].esp.incarnation.borrow());

    // Deleted by hand: other keys, not the same again.
    let before = *pair.sides[0].esp.incarnation.borrow();
    must(&pair.world.hosts[0].ns, "ip xfrm state flush");
    // It is looked at now, not only when the next probe is due.
    pair.newest += 1;
    pair.tell(0);
    eventually("another incarnation", || *pair.sides[0].esp.incarnation.borrow() != before);
    pair.settle();
    assert!(pair.ping());

    // The node is removed.
    pair.peers(0, BTreeMap::new());
    let policies = || must(&pair.world.hosts[0].ns, "ip xfrm policy");
    eventually("no way there is left", || !policies().contains("192.0.2.2"));
    assert!(!pair.ping());
    assert_eq!(pair.world.counted()[1], 0, "nothing was ever in clear");
}

/// What is foreign is left alone, also when it is in the way.
#[test]
fn foreign_associations_are_not_touched() {
    if !has_esp() {
        return;
    }
    let pair = pair();
    let host = &pair.world.hosts[0].ns;
    let key = "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223";
    let foreign = "src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1234 reqid 7 mode transport";
    must(host, &format!("ip xfrm state add {foreign} aead rfc4106(gcm(aes)) {key} 128"));
    must(
        host,
        "ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.9/32 dir out tmpl proto esp reqid 7 mode transport",
    );
    pair.settle();
    pair.peers(0, BTreeMap::new());
    pause(500);
    assert!(must(host, "ip xfrm state").contains("0x00001234"));
    assert!(must(host, "ip xfrm policy").contains("192.0.2.9"));
}
