//! Rows: attaching a sandbox that exists, on a worker: the request, the whole command, the first packet.

use crate::client::Client;
use crate::echo::Echo;
use crate::peers::docker::Engine;
use crate::report::Row;
use crate::rig::{Rig, swarmctl};
use crate::site::usable;
use crate::stats::{Sample, in_turn};
use anyhow::{Context, Result, bail};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use swarm_tests::Host;

const ROUNDS: usize = 5;
const OURS: usize = 48;
/// Of these, by command instead of by request.
const COMMANDS: usize = 8;
const DOCKERS: usize = 6;
/// How long the first packet may take to come back.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Times {
    first: Sample,
    warm: Sample,
    command: Sample,
    packet: Sample,
    /// Of those, how many first packets were not answered.
    lost: usize,
}

impl Times {
    /// `took` until the answer to the attach; now until an answer from another host.
    fn packet(&mut self, took: Duration, net: &Path, target: Ipv4Addr) -> Result<()> {
        let (more, first) = Echo::from(net)?.until(target, PATIENCE)?;
        self.packet.push_time(took + more);
        self.lost += usize::from(!first);
        Ok(())
    }

    fn packets(&self) -> String {
        format!("{}; first packet lost {} times", self.packet.range("ms"), self.lost)
    }
}

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let (hosts, engines) = rig.both()?;
    let client = rig.client(2)?;
    let [_, worker, ..] = hosts else { bail!("three hosts are needed") };
    let [_, docker_worker, docker_other, ..] = engines else { bail!("three engines are needed") };
    (0..OURS).try_for_each(|i| worker.bare(&format!("n{i}")).map(drop))?;
    (0..DOCKERS).try_for_each(|i| docker_worker.run(&format!("n{i}"), "").map(drop))?;
    docker_other.run("there", "")?;
    let (mut ours, mut peer) = (Times::default(), Times::default());
    in_turn(
        ROUNDS,
        |round| our_round(hosts, &client, round, &mut ours),
        |round| docker_round(engines, round, &mut peer),
    )?;
    worker.sh(&format!("for i in $(seq 0 {}); do ip netns del n$i; done", OURS - 1))?.ok()?;
    let names: Vec<String> = (0..DOCKERS).map(|i| format!("n{i}")).collect();
    docker_worker.remove(&names.join(" "))?;
    docker_other.remove("there")?;
    Ok(table(&ours, &peer))
}

fn table(ours: &Times, peer: &Times) -> Vec<Row> {
    let docker = "Docker";
    let ratio = ours.warm.median() / peer.warm.median();
    let (p50, p99) = (ours.warm.median(), ours.warm.quantile(0.99));
    vec![
        Row::new("attach, warm (request)", ours.warm.tail("ms"))
            .beside("Docker, network connect", peer.warm.range("ms"), ratio)
            .goal("p50 ≤ 10 ms, p99 ≤ 25 ms", p50 <= 10.0 && p99 <= 25.0),
        Row::time("attach, first on a node (request)", &ours.first, 40.0).beside_time(
            docker,
            &ours.first,
            &peer.first,
        ),
        Row::time("attach, warm (command)", &ours.command, 15.0).beside_time(
            docker,
            &ours.command,
            &peer.command,
        ),
        Row::new("attach until a packet came back from another host", ours.packets())
            .beside(docker, peer.packets(), ours.packet.median() / peer.packet.median())
            .goal("no first packet lost", ours.lost == 0),
    ]
}

/// One network, one endpoint of it on another host, then all namespaces one after the other.
fn our_round(hosts: &[Host], client: &Client, round: usize, times: &mut Times) -> Result<()> {
    let [manager, worker, other, ..] = hosts else { bail!("three hosts are needed") };
    let network = format!("attach-{round}");
    manager.ctl(&format!("network create --attachable {network}"))?.ok()?;
    let there = other.attach(&format!("there-{round}"), &format!("--network {network}"))?;
    let target: Ipv4Addr = there.ip()?.to_string().parse()?;
    for i in 0..OURS {
        let name = format!("n{i}");
        if (1..=COMMANDS).contains(&i) {
            let words = format!("attach --network {network} --name {name} --netns /run/netns/{name}");
            times.command.push_time(swarmctl(worker, &words)?.0);
            continue;
        }
        let net = worker.space.path(&format!("/run/netns/{name}"));
        let took = our_attach(client, &network, &name, &net)?;
        let kind = if i == 0 { &mut times.first } else { &mut times.warm };
        kind.push_time(took);
        if i == 0 || i > OURS - COMMANDS {
            times.packet(took, &net, target)?;
        }
    }
    (0..OURS).try_for_each(|i| client.detach(&format!("n{i}")))?;
    there.remove()?;
    manager.ctl(&format!("network rm {network}"))?.ok().map(drop)
}

fn our_attach(client: &Client, network: &str, name: &str, net: &Path) -> Result<Duration> {
    let (took, sandbox) = client.attach(network, name)?;
    let endpoint = sandbox.endpoints.first().context("an answer without an endpoint")?;
    usable(net, &endpoint.ifname, endpoint.addresses.first().context("an endpoint without an address")?)?;
    Ok(took)
}

fn docker_round(engines: &[Engine], round: usize, times: &mut Times) -> Result<()> {
    let [manager, worker, other, ..] = engines else { bail!("three engines are needed") };
    let network = format!("attach-{round}");
    manager.docker(&format!("network create -d overlay --attachable {network}"))?;
    other.connect(&network, "there")?;
    let target: Ipv4Addr = other.ip_on(&network, "there")?.parse()?;
    for i in 0..DOCKERS {
        let name = format!("n{i}");
        if i == 1 {
            times.command.push_time(worker.docker(&format!("network connect {network} {name}"))?.0);
            continue;
        }
        let took = worker.connect(&network, &name)?;
        let kind = if i == 0 { &mut times.first } else { &mut times.warm };
        kind.push_time(took);
        times.packet(took, &worker.net_of(&name)?, target)?;
    }
    (0..DOCKERS).try_for_each(|i| worker.disconnect(&network, &format!("n{i}")))?;
    other.disconnect(&network, "there")?;
    manager.docker(&format!("network rm {network}")).map(drop)
}
