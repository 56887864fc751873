//! The reconciler against full kernel tables, for `make bench`: a word on standard input, one line of JSON as the answer.
//! Knows how to fill, change and empty; must not know what is a good time.
//!
//! `fill` `few` `empty`: 100,000 endpoints of another host on two networks, 1,000, none. `add` `move` `remove`: one of them.
//! `raw`: the messages of `fill`, made beforehand, as fast as the kernel takes them.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

#[path = "../tests/net/mod.rs"]
mod net;
#[path = "kernel_tables/raw.rs"]
mod raw;

use net::World;
use std::io::BufRead;
use std::net::Ipv4Addr;
use std::time::Instant;
use swarm_model::{EndpointId, NetworkId, SandboxId};

const NETWORKS: u32 = 2;
/// A network is a /16 at most.
const MOST: u32 = 50_000;
const FEW: u32 = 500;

struct Tables {
    world: World,
    networks: Vec<(NetworkId, SandboxId)>,
    extra: Option<EndpointId>,
}

fn main() {
    let mut tables = Tables::new();
    for word in std::io::stdin().lock().lines() {
        println!("{}", tables.act(&word.unwrap()));
    }
}

impl Tables {
    /// Three hosts; the first has one endpoint on each network, so that the networks are there.
    fn new() -> Self {
        let mut world = World::new(3, 1500);
        let mut networks = Vec::new();
        for number in 1..=NETWORKS {
            let network = world.network(number, &[&format!("10.{number}.0.0/16")], |_| {});
            let sandbox = world.sandbox(0, number);
            world.attach(0, network, sandbox, &[&format!("10.{number}.255.250/16")]);
            networks.push((network, sandbox));
        }
        let mut tables = Self { world, networks, extra: None };
        tables.reconcile();
        tables
    }

    fn act(&mut self, word: &str) -> String {
        match word {
            "fill" => self.fill(MOST),
            "few" => self.fill(FEW),
            "empty" => {
                self.world.assigned.endpoints.retain(|_, e| e.node == self.world.hosts[0].node);
                self.reconcile()
            }
            "add" => {
                let (network, sandbox) = self.networks[0];
                self.extra = Some(self.world.endpoint(1, network, sandbox, &["10.1.255.251/16"]));
                self.reconcile()
            }
            "move" => {
                let (node, id) = (self.world.hosts[2].node, self.extra.unwrap());
                self.world.assigned.endpoints.get_mut(&id).unwrap().node = node;
                self.reconcile()
            }
            "remove" => {
                self.world.assigned.endpoints.remove(&self.extra.take().unwrap());
                self.reconcile()
            }
            "raw" => raw::fill(NETWORKS, MOST),
            other => format!("{{\"error\":\"unknown word {other}\"}}"),
        }
    }

    fn fill(&mut self, each: u32) -> String {
        for at in 0..self.networks.len() {
            let (network, sandbox) = self.networks[at];
            for number in 0..each {
                let ip = address(at, number);
                self.world.endpoint(1, network, sandbox, &[&format!("{ip}/16")]);
            }
        }
        self.reconcile()
    }

    /// From the assignment to the kernel.
    fn reconcile(&mut self) -> String {
        let begun = Instant::now();
        let desired = self.world.desired(0);
        let derived = begun.elapsed();
        let entries: usize = desired.segments.values().map(|s| s.fdb.len() + s.neighbours.len()).sum();
        let begun = Instant::now();
        self.world.hosts[0].block_on(|reconciler| async move { reconciler.apply(desired).await }).unwrap();
        answer(entries, derived.as_secs_f64(), begun.elapsed().as_secs_f64())
    }
}

fn answer(entries: usize, derive: f64, apply: f64) -> String {
    let [derive, apply] = [derive, apply].map(|seconds| seconds * 1e3);
    format!("{{\"entries\":{entries},\"derive_ms\":{derive},\"apply_ms\":{apply}}}")
}

/// The address of the numbered endpoint on the network at that place of the list.
fn address(at: usize, number: u32) -> Ipv4Addr {
    let [.., high, low] = (number + 2).to_be_bytes();
    Ipv4Addr::new(10, u8::try_from(at + 1).unwrap(), high, low)
}
