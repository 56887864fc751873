//! Rows: a leader that is killed, one that is stopped, a promotion, a worker that is lost. Three managers each; each
//! kill is followed by a restart, and the next one waits until all three are there again.

use crate::client::Client;
use crate::peers::docker::Engine;
use crate::peers::etcd::{self, Etcd};
use crate::report::Row;
use crate::rig::{HOSTS, Rig, join_words};
use crate::stats::Sample;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use swarm_proto::v1;
use swarm_tests::poll::pause;
use swarm_tests::{Host, eventually};

const ROUNDS: usize = 5;
/// Kills in one round.
const KILLS: usize = 10;
const ETCD_KILLS: usize = 2;
/// Rounds in which Docker's leader is killed too: it takes a quarter of a minute to recover.
const DOCKER_ROUNDS: usize = 2;
const STOPS: usize = 10;
const PROMOTIONS: usize = 10;
const LOSSES: usize = 5;
/// Docker has needed 24 s.
const LIMIT: Duration = Duration::from_secs(60);
const ETCD_ATTEMPT: Duration = Duration::from_millis(250);
const LOOK_EVERY: Duration = Duration::from_millis(2);
static MADE: AtomicUsize = AtomicUsize::new(0);

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let (hosts, engines) = (rig.managers()?, docker_managers(rig)?);
    let etcd = Etcd::start(&rig.world, rig.spare(), &[])?;
    let (mut killed, mut docker, mut theirs) = (Sample::default(), Sample::default(), Sample::default());
    for round in 0..ROUNDS {
        (0..KILLS).try_for_each(|_| kill_leader(hosts).map(|time| killed.push_time(time)))?;
        (0..ETCD_KILLS).try_for_each(|_| kill_etcd_leader(&etcd).map(|time| theirs.push_time(time)))?;
        if round < DOCKER_ROUNDS {
            docker.push_time(kill_docker_leader(engines)?);
        }
    }
    drop(etcd);
    let mut stopped = Sample::default();
    for _ in 0..STOPS {
        crate::interrupt::check()?;
        stopped.push_time(stop_leader(hosts)?);
    }
    let (promoted, lost) = (promotions(hosts)?, losses(hosts)?);
    take_apart(hosts, engines)?;
    let failover = killed.median() <= 800.0 && killed.quantile(0.99) <= 1_500.0;
    Ok(vec![
        Row::new("leader killed until a write succeeds", killed.tail("ms"))
            .beside("Docker", docker.range("ms"), killed.median() / docker.median())
            .goal("p50 ≤ 800 ms, p99 ≤ 1500 ms", failover),
        Row::new("… the same beside etcd", killed.range("ms")).beside_time("etcd", &killed, &theirs),
        Row::time("leader stopped: longest time without a write", &stopped, 50.0),
        Row::time("promotion until voter", &promoted, 300.0),
        Row::time("worker killed until shown down", &lost, 5_000.0),
    ])
}

fn docker_managers(rig: &Rig) -> Result<&[Engine]> {
    let engines = rig.engines()?;
    let [first, others @ ..] = engines else { bail!("three engines are needed") };
    first.docker(&format!("swarm init --advertise-addr {}", first.ip))?;
    for other in others {
        other.docker(&join_words(first, "manager")?)?;
    }
    Ok(engines)
}

/// The host of the leader, once all are ready and heard.
fn leader(hosts: &[Host]) -> Result<usize> {
    eventually("three managers", || {
        for host in hosts {
            let nodes = host.nodes()?;
            let heard = nodes.iter().filter(|n| n.manager == "Reachable" || n.manager == "Leader").count();
            ensure!(heard == HOSTS && nodes.iter().all(|n| n.status == "Ready"), "{nodes:?}");
        }
        let nodes = hosts.first().context("no host")?.nodes()?;
        let name = nodes.into_iter().find(|n| n.manager == "Leader").context("no leader")?.hostname;
        hosts.iter().position(|host| host.name == name).context("the leader is none of ours")
    })
}

fn fresh() -> String {
    format!("failover-{}", MADE.fetch_add(1, Ordering::Relaxed))
}

/// From the kill until a write through another manager is acknowledged; then everything is as before.
fn kill_leader(hosts: &[Host]) -> Result<Duration> {
    crate::interrupt::check()?;
    let at = leader(hosts)?;
    let client = Client::of(&hosts[(at + 1) % HOSTS])?;
    let lost = &hosts[at];
    let took = without(|| lost.kill(), || client.create_network(&fresh()))?;
    lost.start()?;
    leader(hosts)?;
    Ok(took)
}

/// How long, from the beginning of `kill`, until `write` succeeds.
fn without(kill: impl Fn() -> Result<()> + Sync, write: impl FnMut() -> Result<()>) -> Result<Duration> {
    std::thread::scope(|scope| {
        let begun = Instant::now();
        let killing = scope.spawn(&kill);
        until(begun, write)?;
        let took = begun.elapsed();
        killing.join().map_err(|_| anyhow::anyhow!("killing the leader failed"))??;
        Ok(took)
    })
}

/// The longest time between two acknowledged writes while the leader stops in order.
fn stop_leader(hosts: &[Host]) -> Result<Duration> {
    let at = leader(hosts)?;
    let client = Client::of(&hosts[(at + 1) % HOSTS])?;
    let stopping = &hosts[at];
    let gap = std::thread::scope(|scope| {
        let stop = scope.spawn(|| stopping.stop());
        let (mut longest, mut last) = (Duration::ZERO, Instant::now());
        while !stop.is_finished() {
            until(last, || client.create_network(&fresh()))?;
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        stop.join().map_err(|_| anyhow::anyhow!("stopping the leader failed"))??;
        Ok::<_, anyhow::Error>(longest)
    })?;
    stopping.start()?;
    leader(hosts)?;
    Ok(gap)
}

fn until(begun: Instant, mut write: impl FnMut() -> Result<()>) -> Result<()> {
    loop {
        match write() {
            Ok(()) => return Ok(()),
            Err(reason) if begun.elapsed() > LIMIT => {
                return Err(reason.context("no write succeeded in time"));
            }
            Err(_) => pause(LOOK_EVERY),
        }
    }
}

fn kill_docker_leader(engines: &[Engine]) -> Result<Duration> {
    let at = docker_leader(engines)?;
    let other = &engines[(at + 1) % HOSTS];
    let begun = Instant::now();
    engines[at].kill()?;
    until(begun, || {
        let spec = json!({ "Name": fresh(), "Driver": "overlay", "Attachable": true });
        other.api("POST", "/networks/create", Some(&spec)).map(drop)
    })?;
    let took = begun.elapsed();
    engines[at].start()?;
    docker_leader(engines)?;
    Ok(took)
}

/// As [`kill_leader`]; every attempt gets a quarter of a second.
fn kill_etcd_leader(etcd: &Etcd<'_>) -> Result<Duration> {
    crate::interrupt::check()?;
    let leader = etcd.leader()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let other = runtime.block_on(etcd.other(leader)?.channel())?;
    let put =
        || async { tokio::time::timeout(ETCD_ATTEMPT, etcd::put(other.clone(), "failover", "1")).await? };
    let took = without(|| leader.kill(), || runtime.block_on(put()))?;
    leader.spawn()?;
    etcd.leader()?;
    Ok(took)
}

fn docker_leader(engines: &[Engine]) -> Result<usize> {
    swarm_tests::within(LIMIT, "three reachable managers of Docker's", || {
        let nodes = engines.first().context("no engine")?.api("GET", "/nodes", None)?;
        let nodes = nodes.as_array().cloned().unwrap_or_default();
        let of = |n: &Value, at: &str| n.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let heard = nodes.iter().filter(|n| of(n, "/ManagerStatus/Reachability") == "reachable").count();
        ensure!(heard == HOSTS, "{heard} are reachable");
        let leads = |n: &&Value| n.pointer("/ManagerStatus/Leader").and_then(Value::as_bool) == Some(true);
        let name = of(nodes.iter().find(leads).context("no leader")?, "/Description/Hostname");
        engines.iter().position(|engine| engine.name == name).context("the leader is none of them")
    })
    .map(|(at, _)| at)
}

/// From the request until the leader lists the node as a voter; the same node up and down again.
fn promotions(hosts: &[Host]) -> Result<Sample> {
    let mut times = Sample::default();
    for _ in 0..PROMOTIONS {
        crate::interrupt::check()?;
        let at = leader(hosts)?;
        let (asked, moved) = (&hosts[at], &hosts[(at + 1) % HOSTS]);
        let client = Client::of(asked)?;
        client.set_role(&moved.name, v1::Role::Worker)?;
        eventually("it is a worker", || {
            ensure!(!moved.membership_on_disk().contains(&"raft".to_owned()));
            Ok(())
        })?;
        let begun = Instant::now();
        client.set_role(&moved.name, v1::Role::Manager)?;
        while !votes(&client.nodes()?, &moved.name) {
            ensure!(begun.elapsed() < LIMIT, "a promotion was not done within {LIMIT:?}");
            pause(LOOK_EVERY);
        }
        times.push_time(begun.elapsed());
    }
    Ok(times)
}

fn votes(nodes: &[v1::Node], name: &str) -> bool {
    let manager = nodes.iter().find(|n| n.hostname == name).and_then(|n| n.manager.as_ref());
    manager.is_some_and(|m| m.member() == v1::MemberState::Voter)
}

/// A worker's daemon is killed; from then until the leader shows the node as down.
fn losses(hosts: &[Host]) -> Result<Sample> {
    let at = leader(hosts)?;
    let (asked, lost) = (&hosts[at], &hosts[(at + 1) % HOSTS]);
    let client = Client::of(asked)?;
    client.set_role(&lost.name, v1::Role::Worker)?;
    eventually("it is a worker", || {
        ensure!(!lost.membership_on_disk().contains(&"raft".to_owned()));
        Ok(())
    })?;
    let state = |wanted: v1::NodeState| -> Result<bool> {
        let nodes = client.nodes()?;
        let status = nodes.iter().find(|n| n.hostname == lost.name).and_then(|n| n.status.as_ref());
        Ok(status.is_some_and(|status| status.state() == wanted))
    };
    let mut times = Sample::default();
    for _ in 0..LOSSES {
        crate::interrupt::check()?;
        eventually("it is ready", || {
            ensure!(state(v1::NodeState::Ready)?);
            Ok(())
        })?;
        let begun = Instant::now();
        lost.kill()?;
        while !state(v1::NodeState::Down)? {
            ensure!(begun.elapsed() < LIMIT, "a lost worker was not shown down within {LIMIT:?}");
            pause(LOOK_EVERY);
        }
        times.push_time(begun.elapsed());
        lost.start()?;
    }
    Ok(times)
}

/// Whoever measures next finds daemons without a past.
fn take_apart(hosts: &[Host], engines: &[Engine]) -> Result<()> {
    Rig::leave(hosts)?;
    engines.iter().try_for_each(|engine| engine.docker("swarm leave --force").map(drop))?;
    engines.iter().try_for_each(|engine| engine.stop().and_then(|()| engine.start()))
}
