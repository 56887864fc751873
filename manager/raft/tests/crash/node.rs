//! Power cuts of a whole manager: log, purges and snapshots together, through the interface its caller has.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use swarm_raft::{Cadence, Dial, Machine, MachineError, Member, RaftConfig, RaftNode, Role, StoreKey};
use tonic::transport::Channel;

use crate::child::{given, say};
use crate::disk::{Mount, copy_image, make_image, need_root};
use crate::model::{ID, KEY};
use crate::rig::{Random, Victim, rounds, seed};

/// Counts commands and chains their bytes into a sum, so that a lost, repeated or altered one shows.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<(u64, u64)>>);

fn chain(sum: u64, entry: &[u8]) -> u64 {
    entry.iter().fold(sum, |sum, byte| Random(sum ^ u64::from(*byte)).next())
}

fn command(n: u64) -> Vec<u8> {
    n.to_be_bytes().repeat(1 + (n % 40) as usize)
}

impl Machine for Counter {
    fn apply(&mut self, _: u64, entry: &[u8]) -> Result<Vec<u8>, MachineError> {
        let mut state = self.0.lock();
        *state = (state.0 + 1, chain(state.1, entry));
        Ok(Vec::new())
    }

    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let state = *self.0.lock();
        // As large as a real one.
        Box::new(move || rmp_serde::to_vec(&(state, "x".repeat(200_000))).unwrap())
    }

    fn restore(&mut self, _: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let (state, _): (_, String) =
            rmp_serde::from_slice(bytes).map_err(|e| MachineError(e.to_string()))?;
        *self.0.lock() = state;
        Ok(())
    }
}

struct Nobody;

impl Dial for Nobody {
    fn channel(&self, member: &Member) -> BoxFuture<'static, Result<Channel, String>> {
        let reason = format!("{member} is out of reach");
        async { Err(reason) }.boxed()
    }
}

async fn start(dir: &Path) -> Result<(RaftNode, Counter), String> {
    let counter = Counter::default();
    let config = RaftConfig {
        cadence: Cadence { interval: 60, keep: 0 }.for_good(),
        ..RaftConfig::new(ID, dir.to_owned(), StoreKey::new(KEY))
    };
    let node = RaftNode::start(config, counter.clone(), Arc::new(Nobody)).await.map_err(|e| e.to_string())?;
    Ok((node, counter))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Does nothing in an ordinary run.
#[test]
fn node_child() {
    let Some((dir, _)) = given() else { return };
    runtime().block_on(async {
        let (node, _) = start(&dir).await.unwrap();
        let addr: SocketAddr = "127.0.0.1:1".parse().unwrap();
        node.bootstrap(Member { node: "me".to_owned(), addr }).await.unwrap();
        for n in 0.. {
            node.propose(command(n)).await.unwrap();
            say(&format!("committed {}", n + 1));
        }
    });
}

async fn recovered(dir: &Path) -> Result<(u64, u64), String> {
    let (node, counter) = start(dir).await?;
    let mut status = node.watch_status();
    let leads = status.wait_for(|status| status.role == Role::Leader);
    tokio::time::timeout(Duration::from_secs(20), leads)
        .await
        .map_err(|_| "it never leads")?
        .map_err(|e| e.to_string())?;
    let index = node.read_index().await.map_err(|e| e.to_string())?;
    node.wait_applied(index, Duration::from_secs(20)).await.map_err(|e| e.to_string())?;
    node.shutdown().await;
    let state = *counter.0.lock();
    Ok(state)
}

#[test]
fn a_manager_keeps_every_committed_command_over_a_power_cut() {
    need_root();
    let mut random = seed("power cut of a manager");
    let (mut total, rounds) = (0, rounds(6));
    for round in 0..rounds {
        // A folder and images of its own for each: a loop device may outlive its mount for a moment.
        let home = tempfile::tempdir().unwrap();
        let (image, copy) = (home.path().join("disk.img"), home.path().join("copy.img"));
        make_image(&image, 96 << 20);
        let committed = {
            let live = Mount::new(&image, home.path().join("live"));
            let mut victim = Victim::start("node::node_child", &live.dir.join("raft"), 0);
            victim.wait_for("committed");
            victim.run_for(Duration::from_millis(random.below(700)));
            let lines = victim.freeze();
            copy_image(&image, &copy);
            victim.kill();
            lines.iter().filter_map(|line| line.strip_prefix("committed ")?.parse().ok()).max().unwrap_or(0)
        };
        let left = Mount::new(&copy, home.path().join("left"));
        let (count, sum) = runtime()
            .block_on(recovered(&left.dir.join("raft")))
            .unwrap_or_else(|e| panic!("round {round}: {e}"));
        assert!(count >= committed, "round {round}: {committed} commands were committed, {count} are left");
        let expected = (0..count).fold(0, |sum, n| chain(sum, &command(n)));
        assert_eq!(sum, expected, "round {round}: the {count} commands are not those that were committed");
        total += committed;
    }
    println!("{rounds} power cuts of a manager, {total} committed commands, none lost");
}
