//! Rows: committed writes per second beside etcd, three managers and three members on the same wire, on this disk and
//! with 2 ms more for every flush. Each write goes to whoever leads, in the clear: a label of a node by the local socket
//! here, a key there. Between managers and between members there is TLS.

use crate::client::Client;
use crate::cpu;
use crate::load::{self, Load};
use crate::peers::etcd::{self, Etcd, Member};
use crate::report::Row;
use crate::rig::Rig;
use crate::stats::{Sample, in_turn};
use anyhow::Result;
use std::time::Duration;
use swarm_tests::Host;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

const PAIRS: usize = 5;
const TIME: Duration = Duration::from_secs(2);
/// How many at once, and how many times as fast as etcd that is to be, on this disk.
const CLIENTS: [(usize, Option<f64>); 3] = [(1, Some(1.5)), (16, None), (256, Some(3.0))];
const SLOW_GOAL: f64 = 1.0;
/// Connections the clients share, on both sides.
const CONNECTIONS: usize = 8;
/// Labels of the one node, and keys there: objects as small on one side as on the other.
const KEYS: usize = 4;
const SLOW: &[&str] = &[
    "strace",
    "-D",
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-o",
    "/dev/null",
    "-e",
    "trace=fsync,fdatasync",
    "-e",
    "inject=fsync,fdatasync:delay_enter=2000",
];

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let mut rows = profile(rig, &[], "")?;
    rows.extend(profile(rig, SLOW, ", 2 ms more per flush")?);
    Ok(rows)
}

/// Both sides started under `under`, measured in turn, and taken away.
fn profile(rig: &Rig, under: &[&str], words: &str) -> Result<Vec<Row>> {
    rig.ours().iter().for_each(|host| host.start_under(under));
    let hosts = rig.managers()?;
    let etcd = Etcd::start(&rig.world, rig.spare(), under)?;
    let sides = Sides::connect(rig.world.leader()?, etcd.leader()?)?;
    let slow = !under.is_empty();
    let mut rows = Vec::new();
    for (clients, goal) in CLIENTS {
        rows.push(sides.row(clients, goal.filter(|_| !slow).or(slow.then_some(SLOW_GOAL)), words)?);
    }
    drop(etcd);
    Rig::leave(hosts)?;
    hosts.iter().for_each(|host| host.start_under(&[]));
    Ok(rows)
}

/// The processor time of one write, which says more on a machine whose few cores everybody shares.
pub fn costs(rig: &Rig) -> Result<Vec<Row>> {
    rig.ours().iter().for_each(|host| host.start_under(&[]));
    let hosts = rig.managers()?;
    let etcd = Etcd::start(&rig.world, rig.spare(), &[])?;
    let sides = Sides::connect(rig.world.leader()?, etcd.leader()?)?;
    let ours = hosts.iter().map(Host::daemon_pid).collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    for (clients, _) in CLIENTS {
        rows.extend(sides.cost(clients, [&ours, &etcd.pids()])?);
    }
    drop(etcd);
    Rig::leave(hosts)?;
    Ok(rows)
}

/// Connections to both leaders.
struct Sides {
    runtime: Runtime,
    ours: Vec<Channel>,
    node: String,
    theirs: Vec<Channel>,
}

impl Sides {
    fn connect(leader: &Host, member: &Member<'_>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            ours.push(runtime.block_on(Client::channel(leader))?);
            theirs.push(runtime.block_on(member.channel())?);
        }
        Ok(Self { runtime, ours, node: leader.name.clone(), theirs })
    }

    fn row(&self, clients: usize, goal: Option<f64>, words: &str) -> Result<Row> {
        let (mut ours, mut theirs) = (Rates::default(), Rates::default());
        in_turn(
            PAIRS,
            |round| self.ours(clients, round).map(|load| ours.add(&load)),
            |_| self.theirs(clients).map(|load| theirs.add(&load)),
        )?;
        let what =
            format!("committed writes, {clients} {}{words}", if clients == 1 { "client" } else { "clients" });
        let row = Row::new(&what, ours.shown()).beside(
            "etcd",
            theirs.shown(),
            ours.rate.median() / theirs.rate.median(),
        );
        Ok(match goal {
            Some(goal) => row.ratio_at_least(goal),
            None => row,
        })
    }

    /// Of the managers and of the client, beside etcd's.
    fn cost(&self, clients: usize, [ours, theirs]: [&[i32]; 2]) -> Result<[Row; 2]> {
        let [mut mine, mut own, mut peers, mut peers_own] = std::array::from_fn(|_| Sample::default());
        in_turn(
            PAIRS,
            |round| costing(ours, &mut mine, &mut own, || self.ours(clients, round)),
            |_| costing(theirs, &mut peers, &mut peers_own, || self.theirs(clients)),
        )?;
        let row = |what: &str, ours: &Sample, theirs: &Sample| {
            let (ratio, ours, theirs) =
                (ours.median() / theirs.median(), ours.range("µs"), theirs.range("µs"));
            let clients = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
            Row::new(&format!("{what} of one write, {clients}"), ours).beside("etcd", theirs, ratio)
        };
        Ok([
            row("processor time of all three managers", &mine, &peers),
            row("… of the client", &own, &peers_own),
        ])
    }

    fn ours(&self, clients: usize, round: usize) -> Result<Load> {
        let (channels, node) = (self.ours.clone(), self.node.clone());
        self.runtime.block_on(load::run(clients, TIME, move |client, turn| {
            let (channel, node) = (channels[client % CONNECTIONS].clone(), node.clone());
            let label = (format!("key-{}", client % KEYS), format!("{round}-{client}-{turn}"));
            async move { Client::label(channel, &node, label).await }
        }))
    }

    fn theirs(&self, clients: usize) -> Result<Load> {
        let channels = self.theirs.clone();
        self.runtime.block_on(load::run(clients, TIME, move |client, turn| {
            let channel = channels[client % CONNECTIONS].clone();
            async move { etcd::put(channel, &format!("key-{}", client % KEYS), &format!("{client}-{turn}")).await }
        }))
    }
}

/// Adds what one write of a load cost the processes `pids`, and this one, µs.
fn costing(
    pids: &[i32],
    theirs: &mut Sample,
    own: &mut Sample,
    load: impl FnOnce() -> Result<Load>,
) -> Result<()> {
    let spent =
        || Ok::<_, anyhow::Error>((pids.iter().map(|pid| cpu::of(*pid)).sum::<Result<f64>>()?, cpu::own()?));
    let before = spent()?;
    let writes = load()?.times.len() as f64;
    let after = spent()?;
    theirs.push((after.0 - before.0) * 1e3 / writes);
    own.push((after.1 - before.1) * 1e3 / writes);
    Ok(())
}

/// Several loads of one side.
#[derive(Default)]
struct Rates {
    rate: Sample,
    middle: Sample,
    tail: Sample,
}

impl Rates {
    fn add(&mut self, load: &Load) {
        self.rate.push(load.rate);
        self.middle.push(load.times.median());
        self.tail.push(load.times.quantile(0.99));
    }

    fn shown(&self) -> String {
        let [p50, p99] = [self.middle.median(), self.tail.median()].map(crate::stats::short);
        format!("{}, each {p50} / {p99} ms (p50 / p99)", self.rate.range("/s"))
    }
}
