//! Rows: how long after `run` the other hosts know the new name.

use crate::report::Row;
use crate::rig::{Rig, swarmctl};
use crate::stats::{Sample, in_turn};
use anyhow::{Context, Result, bail};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use swarm_tests::dns::{Says, Upstream};
use swarm_tests::poll::pause;
use swarm_tests::space::Space;
use swarm_tests::world::OUTSIDE;

const ROUNDS: usize = 10;
const ASK_EVERY: Duration = Duration::from_micros(500);
const LIMIT: Duration = Duration::from_secs(15);

#[derive(Default)]
struct Times {
    /// After the command returned; 0 when it was known before.
    after: Sample,
    /// After the command began.
    whole: Sample,
    command: Sample,
}

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let (hosts, engines) = rig.both()?;
    // A name that is not known yet is asked for outside: there must be somebody who says at once that there is none.
    let _outside = Upstream::start(&rig.world.wire.net(), OUTSIDE, |_| Says::NxDomain)?;
    let [manager, others @ ..] = hosts else { bail!("three hosts are needed") };
    let [docker_manager, docker_others @ ..] = engines else { bail!("three engines are needed") };
    manager.ctl("network create --attachable names")?.ok()?;
    docker_manager.docker("network create -d overlay --attachable names")?;
    let listeners = others
        .iter()
        .map(|h| h.run(&format!("listener-{}", h.name), "--network names"))
        .collect::<Result<Vec<_>>>()?;
    let nets: Vec<PathBuf> = listeners.iter().map(|l| l.net()).collect();
    let mut docker_nets = Vec::new();
    for engine in docker_others {
        engine.run("listener", "--network names")?;
        docker_nets.push(engine.net_of("listener")?);
    }
    let (mut ours, mut peer) = (Times::default(), Times::default());
    in_turn(
        ROUNDS,
        |round| {
            let name = format!("new-{round}");
            let words = format!("run -d --name {name} --network names -- sleep 1000");
            measure(&nets, &name, &mut ours, || swarmctl(manager, &words).map(|(took, _)| took))?;
            manager.ctl(&format!("rm -f {name}"))?.ok().map(drop)
        },
        |round| {
            let name = format!("new-{round}");
            measure(&docker_nets, &name, &mut peer, || docker_manager.run(&name, "--network names"))?;
            docker_manager.remove(&name)
        },
    )?;
    listeners.into_iter().try_for_each(swarm_tests::Sandbox::remove)?;
    docker_others.iter().try_for_each(|engine| engine.remove("listener"))?;
    manager.ctl("network rm names")?.ok()?;
    docker_manager.docker("network rm names")?;
    Ok(vec![
        Row::time("name of a new sandbox on both other hosts, after `run` returned", &ours.after, 30.0)
            .beside_time("Docker", &ours.after, &peer.after),
        Row::new("… after `run` was started", ours.whole.range("ms")).beside_time(
            "Docker",
            &ours.whole,
            &peer.whole,
        ),
        Row::new("`run -d` (command)", ours.command.range("ms")).beside_time(
            "Docker",
            &ours.command,
            &peer.command,
        ),
    ])
}

/// Asks everywhere while `start` runs; the times until the last one knew.
fn measure(
    nets: &[PathBuf],
    name: &str,
    times: &mut Times,
    start: impl FnOnce() -> Result<Duration>,
) -> Result<()> {
    let sockets = nets.iter().map(|net| asker(net)).collect::<Result<Vec<_>>>()?;
    let ready = Barrier::new(sockets.len() + 1);
    std::thread::scope(|scope| {
        let ask = |socket| {
            scope.spawn(|| {
                ready.wait();
                first_answer(socket, name)
            })
        };
        let threads: Vec<_> = sockets.into_iter().map(ask).collect();
        ready.wait();
        let begun = Instant::now();
        let command = start();
        let returned = Instant::now();
        let mut last = begun;
        for thread in threads {
            let answered = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            last = last.max(answered.with_context(|| format!("asking for {name}"))?);
        }
        times.command.push_time(command?);
        times.after.push_time(last.saturating_duration_since(returned));
        times.whole.push_time(last - begun);
        Ok(())
    })
}

/// A socket in that namespace, to its name server.
fn asker(net: &std::path::Path) -> Result<UdpSocket> {
    let socket = Space::in_net(net, || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
    socket.connect("127.0.0.11:53")?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    Ok(socket)
}

/// Asks until the name has an address; when that answer came.
fn first_answer(socket: UdpSocket, name: &str) -> Result<Instant> {
    let begun = Instant::now();
    let mut buffer = [0; 512];
    for id in 0u16.. {
        socket.send(&question(id, name))?;
        // An answer to an earlier question, or none: asked again.
        while let Ok(got) = socket.recv(&mut buffer) {
            let answer = buffer.get(..got).unwrap_or_default();
            if answer.get(..2) != Some(&id.to_be_bytes()) {
                continue;
            }
            if answer.get(6..8).is_some_and(|count| count != [0, 0]) {
                return Ok(Instant::now());
            }
            break;
        }
        if begun.elapsed() > LIMIT {
            bail!("no answer within {LIMIT:?}");
        }
        pause(ASK_EVERY);
    }
    bail!("asked too often")
}

/// RFC 1035: one question of class IN for an A record.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or_default());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}
