//! Counts changes of leader while the processors are busy with something else and somebody writes all the time.
//!
//! `cargo run --release -p swarm-raft --example starved [SECONDS] [BUSY THREADS]`; for a slower disk, under
//! `strace --seccomp-bpf -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_exit=20000`. Ends with 1 if
//! the leader changed.

#[path = "support/group.rs"]
mod group;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
    let time = Duration::from_secs(numbers.next().unwrap_or(Ok(60))?);
    let threads = numbers.next().unwrap_or(Ok(4))?;
    let dir = tempfile::tempdir()?;
    let nodes = group::group(dir.path()).await?;
    let before = group::leader(&nodes).await?.status();
    let done = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..threads).map(|_| burn(done.clone())).collect();
    let until = Instant::now() + time;
    let (mut written, mut slowest) = (0u64, Duration::ZERO);
    while Instant::now() < until {
        let begun = Instant::now();
        if group::leader(&nodes).await?.propose(vec![7; 200]).await.is_ok() {
            written += 1;
            slowest = slowest.max(begun.elapsed());
        }
    }
    done.store(true, Ordering::Relaxed);
    for thread in busy {
        let _ = thread.join();
    }
    let after = group::leader(&nodes).await?.status();
    println!(
        "{threads} busy threads for {time:?}: {written} writes, the slowest {slowest:?}; leader {} in term {}, then {} in term {}",
        before.id, before.term, after.id, after.term
    );
    Ok(if after.term == before.term { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn burn(done: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut number = 1u64;
        while !done.load(Ordering::Relaxed) {
            for _ in 0..10_000 {
                number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
        }
    })
}
