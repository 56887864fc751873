//! How long nobody can write when a leader stops in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use swarm_raft::{ProposeError, RaftNode};

use crate::rig::{Rig, until};

const ROUNDS: usize = 5;
const RETRY: Duration = Duration::from_millis(1);
/// On a quiet machine it is some 20 ms; a busy one must not fail the test.
const BOUND: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_is_hardly_missed() {
    let mut rig = Rig::group(3).await;
    let mut pauses = Vec::new();
    for _ in 0..ROUNDS {
        let leader = rig.leader(&[1, 2, 3]).await;
        until("all to be heard", || rig.nodes[&leader].raft.status().heard.len() == 3).await;
        let nodes: Vec<RaftNode> = rig.nodes.values().map(|node| node.raft.clone()).collect();
        let done = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(longest_pause(nodes, done.clone()));
        let applied = rig.nodes[&leader].raft.status().applied;
        until("writes to flow", || rig.nodes[&leader].raft.status().applied > applied + 20).await;
        rig.stop(leader).await;
        let others: Vec<u64> = rig.nodes.keys().copied().collect();
        let next = rig.leader(&others).await;
        let applied = rig.nodes[&next].raft.status().applied;
        until("writes to flow again", || rig.nodes[&next].raft.status().applied > applied + 20).await;
        done.store(true, Ordering::Relaxed);
        pauses.push(writer.await.unwrap());
        rig.start(leader).await.unwrap();
    }
    pauses.sort();
    println!("longest time without a write while a leader stopped, {ROUNDS} times: {pauses:?}");
    assert!(pauses[ROUNDS / 2] < BOUND, "{pauses:?}");
}

/// Writes one entry after the other at whoever leads, and returns the longest time between two that went through.
async fn longest_pause(nodes: Vec<RaftNode>, done: Arc<AtomicBool>) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut at = 0;
    while !done.load(Ordering::Relaxed) {
        match nodes[at].propose(b"x".to_vec()).await {
            Ok(_) => {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            Err(ProposeError::NotLeader(Some((id, _)))) => {
                at = nodes.iter().position(|node| node.status().id == id).unwrap_or(at);
                tokio::time::sleep(RETRY).await;
            }
            Err(_) => {
                at = (at + 1) % nodes.len();
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    longest
}
