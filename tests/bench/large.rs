//! Rows: a manager whose cluster has 100,000 endpoints: how long its restart takes, and what a snapshot costs the writes
//! beside it. The endpoints belong to a hundred workers that are on record only; the state is put on disk while the
//! daemon is stopped, as a recovery would.

use crate::client::Client;
use crate::load;
use crate::report::Row;
use crate::rig::Rig;
use crate::stats::Sample;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use swarm_raft::{Machine, MachineError, Member, RaftConfig, Seed, Seeded, StoreKey, export};
use swarm_state::State;
use swarm_tests::Host;
use swarm_tests::poll::pause;

mod state;

const RESTARTS: usize = 5;
const RESTART_GOAL_MS: f64 = 2_000.0;
const LOOK_EVERY: Duration = Duration::from_millis(2);
const CLIENTS: usize = 16;
/// Entries between two snapshots, and how long is written: three or more of them.
const INTERVAL: u64 = 4_000;
const WRITING: Duration = Duration::from_secs(20);
/// Before a snapshot is in its place it is gathered, encoded, sealed and flushed: what is written in that time.
const LASTS: Duration = Duration::from_millis(1_500);
const TAIL_GOAL: f64 = 3.0;

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let host = rig.host(1);
    host.start()?;
    host.ctl(&format!("init --snapshot-interval {INTERVAL}"))?.ok()?;
    host.stop()?;
    enlarge(&host.state_dir())?;
    host.start()?;
    let restarted = restarts(host)?;
    let tails = tails(host)?;
    Rig::leave(std::slice::from_ref(host))?;
    Ok(vec![
        Row::time(
            "manager with 100,000 endpoints: restart until a write succeeds",
            &restarted,
            RESTART_GOAL_MS,
        ),
        tails,
    ])
}

/// From the start of the program until a write was acknowledged.
fn restarts(host: &Host) -> Result<Sample> {
    let mut times = Sample::default();
    for round in 0..RESTARTS {
        crate::interrupt::check()?;
        host.kill()?;
        let begun = Instant::now();
        host.start()?;
        let client = Client::of(host)?;
        while let Err(reason) = client.create_network(&format!("again-{round}")) {
            ensure!(begun.elapsed() < Duration::from_secs(30), "no write after a restart: {reason:#}");
            pause(LOOK_EVERY);
        }
        times.push_time(begun.elapsed());
    }
    Ok(times)
}

/// The slowest hundredth of the writes while a snapshot is made, beside those of other times.
fn tails(host: &Host) -> Result<Row> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let channel = runtime.block_on(Client::channel(host))?;
    let written: Arc<Mutex<Vec<(Instant, Duration)>>> = Arc::default();
    let (node, seen) = (host.name.clone(), written.clone());
    let ask = move |client: usize, turn: usize| {
        let (channel, node, seen) = (channel.clone(), node.clone(), seen.clone());
        async move {
            let begun = Instant::now();
            Client::label(channel, &node, (format!("key-{client}"), turn.to_string())).await?;
            seen.lock().map_err(|_| anyhow::anyhow!("a client panicked"))?.push((begun, begun.elapsed()));
            Ok(())
        }
    };
    let snapshots = host.state_dir().join("raft/snapshots");
    let watched = std::thread::scope(|scope| {
        let watching = scope.spawn(|| appearing(&snapshots, WRITING));
        runtime.block_on(load::run(CLIENTS, WRITING, ask))?;
        watching.join().map_err(|_| anyhow::anyhow!("watching the snapshots failed"))?
    })?;
    ensure!(!watched.is_empty(), "no snapshot was made in {WRITING:?}");
    let (mut during, mut else_) = (Sample::default(), Sample::default());
    for (begun, took) in written.lock().map_err(|_| anyhow::anyhow!("a client panicked"))?.iter() {
        let beside = watched.iter().any(|at| *begun <= *at && *begun + *took + LASTS >= *at);
        if beside { during.push_time(*took) } else { else_.push_time(*took) }
    }
    let ratio = during.quantile(0.99) / else_.quantile(0.99);
    let shown = format!("{}, {} snapshots", during.tail("ms"), watched.len());
    let row = Row::new("… writes while a snapshot of them is made, 16 clients", shown);
    Ok(row.beside("without one", else_.tail("ms"), ratio).goal("p99 ≤ 3 times it", ratio <= TAIL_GOAL))
}

/// When new files appeared in a folder.
fn appearing(folder: &Path, time: Duration) -> Result<Vec<Instant>> {
    let names = || -> Result<BTreeSet<String>> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.') && !name.contains("tmp")).collect())
    };
    let (begun, mut known, mut times) = (Instant::now(), names()?, Vec::new());
    while begun.elapsed() < time {
        let now = names()?;
        if !now.is_subset(&known) {
            times.push(Instant::now());
        }
        known = now;
        pause(LOOK_EVERY);
    }
    Ok(times)
}

/// The state of a stopped manager, replaced by one with 100,000 endpoints.
fn enlarge(dir: &Path) -> Result<()> {
    let key = fs::read(dir.join("raft.key"))?;
    let key: [u8; 32] = key.as_slice().try_into().context("a Raft key of 32 bytes")?;
    let member = fs::read_to_string(dir.join("raft/member"))?;
    let config = RaftConfig::new(member.trim().parse()?, dir.join("raft"), StoreKey::new(key));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let held = export(config.clone(), Holder::default()).await?;
        let [(_, me)] = <[(u64, Member); 1]>::try_from(held.voters.into_iter().collect::<Vec<_>>())
            .ok()
            .context("one voter")?;
        let mut state = state::decode(&held.state)?;
        let index = state::fill(&mut state, held.index)?;
        let seed = Seed { me, term: held.term, index, state: state::encode(&state)? };
        let seeded = Seeded::prepare(&config, seed).await?;
        fs::copy(dir.join("raft/member"), seeded.dir().join("member"))?;
        seeded.replace()?;
        Ok(())
    })
}

/// The state as Raft hands it out; nothing is proposed to it.
#[derive(Default)]
struct Holder(State);

impl Machine for Holder {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, MachineError> {
        let entry = rmp_serde::from_slice(entry).map_err(|e| MachineError(e.to_string()))?;
        swarm_state::apply(&mut self.0, index, &entry);
        Ok(Vec::new())
    }

    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let bytes = state::encode(&self.0).unwrap_or_default();
        Box::new(move || bytes)
    }

    fn restore(&mut self, _: u64, bytes: &[u8]) -> Result<(), MachineError> {
        self.0 = state::decode(bytes).map_err(|e| MachineError(e.to_string()))?;
        Ok(())
    }
}
