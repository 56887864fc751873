//! Committed writes and read indexes per second on three managers in one process.
//!
//! `cargo run --release -p swarm-raft --example throughput [SECONDS PER STEP]`; for a slower disk, under
//! `strace --seccomp-bpf -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_exit=2000`.

#[path = "support/group.rs"]
mod group;

use std::time::{Duration, Instant};

use swarm_raft::RaftNode;

const CLIENTS: [usize; 3] = [1, 16, 256];
const COMMAND: usize = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(3), |arg| arg.parse())?;
    let step = Duration::from_secs(seconds);
    let dir = tempfile::tempdir()?;
    let nodes = group::group(dir.path()).await?;
    let leader = group::leader(&nodes).await?;
    for clients in CLIENTS {
        let writes =
            run(&leader, clients, step, |raft| async move { raft.propose(vec![7; COMMAND]).await.is_ok() });
        report("writes", clients, step, writes.await);
    }
    for clients in CLIENTS {
        let reads = run(&leader, clients, step, |raft| async move { raft.read_index().await.is_ok() });
        report("read indexes", clients, step, reads.await);
    }
    for node in nodes {
        node.shutdown().await;
    }
    Ok(())
}

/// How long each call that went through took, sorted.
async fn run<F, Fut>(raft: &RaftNode, clients: usize, step: Duration, call: F) -> Vec<Duration>
where
    F: Fn(RaftNode) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = bool> + Send,
{
    let until = Instant::now() + step;
    let client = |raft: RaftNode, call: F| async move {
        let mut times = Vec::new();
        while Instant::now() < until {
            let begun = Instant::now();
            if call(raft.clone()).await {
                times.push(begun.elapsed());
            }
        }
        times
    };
    let tasks: Vec<_> = (0..clients).map(|_| tokio::spawn(client(raft.clone(), call.clone()))).collect();
    let mut times: Vec<Duration> =
        futures::future::join_all(tasks).await.into_iter().filter_map(Result::ok).flatten().collect();
    times.sort();
    times
}

fn report(what: &str, clients: usize, step: Duration, times: Vec<Duration>) {
    let quantile = |per_cent: usize| times.get(times.len().saturating_sub(1) * per_cent / 100).copied();
    println!(
        "{what:>12}, {clients:>3} clients: {:>7.0}/s, p50 {:?}, p99 {:?}",
        times.len() as f64 / step.as_secs_f64(),
        quantile(50).unwrap_or_default(),
        quantile(99).unwrap_or_default()
    );
}
