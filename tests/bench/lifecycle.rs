//! Rows: init, a worker's join, a manager's join. Each round forms a cluster and takes it apart again.

use crate::client::Client;
use crate::peers::docker::Engine;
use crate::report::Row;
use crate::rig::{Rig, join_words, swarmctl};
use crate::stats::{Sample, in_turn};
use anyhow::{Result, bail, ensure};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use swarm_proto::v1;
use swarm_tests::Host;
use swarm_tests::poll::pause;
use swarm_tests::run::wait;

const ROUNDS: usize = 7;
const LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Times {
    init: Sample,
    worker: Sample,
    manager: Sample,
}

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let engines = rig.engines()?;
    let (mut ours, mut peer) = (Times::default(), Times::default());
    for host in rig.ours() {
        host.start()?;
    }
    in_turn(ROUNDS, |_| our_round(rig.ours(), &mut ours), |_| docker_round(engines, &mut peer))?;
    for host in rig.ours() {
        host.stop()?;
    }
    // Whoever measures next finds daemons without a past.
    engines.iter().try_for_each(|engine| engine.stop().and_then(|()| engine.start()))?;
    let docker = "Docker";
    Ok(vec![
        Row::time("init (command)", &ours.init, 200.0).beside_time(docker, &ours.init, &peer.init),
        Row::time("worker join until Ready", &ours.worker, 60.0).beside_time(
            docker,
            &ours.worker,
            &peer.worker,
        ),
        Row::time("manager join until voter", &ours.manager, 300.0).beside_time(
            "Docker, until Reachable",
            &ours.manager,
            &peer.manager,
        ),
    ])
}

fn our_round(hosts: &[Host], times: &mut Times) -> Result<()> {
    let [first, second, third, ..] = hosts else { bail!("three hosts are needed") };
    times.init.push_time(swarmctl(first, "init")?.0);
    let client = Client::of(first)?;
    let join = |host: &Host, role: &str| -> Result<Command> {
        let token = first.token(role)?;
        host.ctl_command(&["join", "--token", &token, &format!("{}:2377", first.ip)])
    };
    let ready = |nodes: &[v1::Node]| {
        nodes.iter().filter(|n| n.status.as_ref().is_some_and(|s| s.state() == v1::NodeState::Ready)).count()
            == 2
    };
    times.worker.push_time(until(join(second, "worker")?, || Ok(ready(&client.nodes()?)))?);
    let voters = |nodes: &[v1::Node]| {
        nodes
            .iter()
            .filter(|n| n.manager.as_ref().is_some_and(|m| m.member() == v1::MemberState::Voter))
            .count()
            == 2
    };
    times.manager.push_time(until(join(third, "manager")?, || Ok(voters(&client.nodes()?)))?);
    [third, second, first].into_iter().try_for_each(|host| host.ctl("leave --force")?.ok().map(drop))
}

fn docker_round(engines: &[Engine], times: &mut Times) -> Result<()> {
    let [first, second, third, ..] = engines else { bail!("three engines are needed") };
    times.init.push_time(first.docker(&format!("swarm init --advertise-addr {}", first.ip))?.0);
    let count = |pointer: &str, word: &str| -> Result<usize> {
        let nodes = first.api("GET", "/nodes", None)?;
        let of = |n: &&Value| n.pointer(pointer).and_then(Value::as_str) == Some(word);
        Ok(nodes.as_array().map_or(0, |all| all.iter().filter(of).count()))
    };
    let worker = second.command(&join_words(first, "worker")?);
    times.worker.push_time(until(worker, || Ok(count("/Status/State", "ready")? == 2))?);
    let manager = third.command(&join_words(first, "manager")?);
    let reachable = || Ok(count("/ManagerStatus/Reachability", "reachable")? == 2);
    times.manager.push_time(until(manager, reachable)?);
    [third, second, first].into_iter().try_for_each(|engine| engine.docker("swarm leave --force").map(drop))
}

/// Starts a command and looks until something is so; the command must succeed.
fn until(mut command: Command, mut look: impl FnMut() -> Result<bool>) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn()?;
    while !look()? {
        if begun.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            bail!("a join was not done within {LIMIT:?}");
        }
        pause(LOOK_EVERY);
    }
    let took = begun.elapsed();
    let code = wait(&mut child, LIMIT)?;
    ensure!(code == 0, "a join ended with {code}");
    Ok(took)
}
