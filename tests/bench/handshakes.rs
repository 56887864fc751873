//! Row: what a full handshake with certificates on both sides costs, and whether heartbeats notice ten thousand of them.

use crate::client::Client;
use crate::cpu;
use crate::report::Row;
use crate::rig::{HOSTS, Rig};
use crate::stats::Sample;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use swarm_identity::{Credentials, Dialler, NodeIdentity};
use swarm_tests::space::Space;
use swarm_tests::{Host, view};
use tokio::task::JoinSet;

const COUNT: usize = 10_000;
/// Clients at work at once; each takes a new connection when the last one is done.
const CLIENTS: usize = 32;
const GOAL_MS: f64 = 0.5;

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let hosts = rig.managers()?;
    let measured = measure(hosts);
    Rig::leave(hosts)?;
    measured
}

fn measure(hosts: &[Host]) -> Result<Vec<Row>> {
    let (leader, caller) = (hosts.first().context("no host")?, hosts.get(1).context("no host")?);
    let identity = NodeIdentity::load(&caller.state_dir().join("certificates"))?.context("no certificate")?;
    let dialler = Dialler::new(Credentials::new(identity)?);
    let (to, net) = (format!("{}:2377", leader.ip), caller.space.net());
    let before = (cpu::of(leader.daemon_pid()?)?, cpu::own()?, term(caller)?);
    let client = Client::of(caller)?;
    let mut writes = Sample::default();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let shaking = scope.spawn(|| Space::in_net(&net, || shake_hands(&dialler, &to)));
        let mut round = 0;
        while !shaking.is_finished() {
            let asked = Instant::now();
            client.create_network(&format!("during-{round}"))?;
            writes.push_time(asked.elapsed());
            round += 1;
            crate::interrupt::idle(Duration::from_millis(100))?;
        }
        shaking.join().map_err(|_| anyhow::anyhow!("the clients failed"))?
    })?;
    let took = begun.elapsed();
    let (server, own) = (cpu::of(leader.daemon_pid()?)? - before.0, cpu::own()? - before.1);
    let calm = term(caller)? == before.2 && caller.nodes()?.iter().all(|node| node.status == "Ready");
    ensure!(caller.nodes()?.len() == HOSTS, "a node is missing");
    let (server, own) = (server / COUNT as f64, own / COUNT as f64);
    Ok(vec![
        Row::new("a full mTLS handshake, processor time of the manager", format!("{server:.2} ms"))
            .at_most(server, GOAL_MS, "ms"),
        Row::new("… of the caller, with its HTTP/2 connection", format!("{own:.2} ms")),
        Row::new(
            "10,000 handshakes from 32 clients at once against the leader",
            format!("{:.1} s, slowest network meanwhile {:.0} ms", took.as_secs_f64(), writes.max()),
        )
        .goal("no election, no node missed", calm),
    ])
}

fn shake_hands(dialler: &Dialler, to: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (dialler, to) = (dialler.clone(), to.to_owned());
            clients.spawn(async move {
                for _ in 0..COUNT / CLIENTS {
                    dialler.to_manager(&to).await?;
                }
                Ok::<_, swarm_identity::DialError>(())
            });
        }
        while let Some(done) = clients.join_next().await {
            done??;
        }
        Ok(())
    })
}

fn term(host: &Host) -> Result<Option<i64>> {
    Ok(view::number(&host.info()?, "raft_term"))
}
