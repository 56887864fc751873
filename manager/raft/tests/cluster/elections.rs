//! Who leads, and what a change of leader may not do.

use std::time::{Duration, Instant};

use swarm_raft::{ProposeError, ReadError, Role};

use crate::rig::{PATIENCE, Rig, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_leader_is_replaced_and_loses_nothing() {
    let mut rig = Rig::group(3).await;
    for n in 0..50u32 {
        rig.propose(&[1], format!("before {n}").as_bytes()).await;
    }
    let lost = Instant::now();
    rig.wires.cut_off(1, &[2, 3]);
    rig.propose(&[2, 3], b"after").await;
    println!("the next write went through {:?} after the leader was lost", lost.elapsed());
    rig.crash(1).await;
    rig.start(1).await.unwrap();
    let entries = rig.agreed().await;
    assert_eq!(entries.len(), 51);
    assert_eq!(entries.last().unwrap(), b"after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_restarted_they_know_everything_again() {
    let mut rig = Rig::group(3).await;
    for n in 0..30u32 {
        rig.propose(&[1, 2, 3], &n.to_be_bytes()).await;
    }
    let before = rig.agreed().await;
    let terms: Vec<u64> = rig.nodes.values().map(|node| node.raft.status().term).collect();
    for id in [1, 2, 3] {
        rig.crash(id).await;
    }
    for id in [1, 2, 3] {
        rig.start(id).await.unwrap();
    }
    let leader = rig.leader(&[1, 2, 3]).await;
    assert!(rig.nodes[&leader].raft.status().term >= *terms.iter().max().unwrap());
    for node in rig.nodes.values() {
        node.raft.wait_recovered(PATIENCE).await.unwrap();
        assert_eq!(node.entries(), before);
    }
    rig.propose(&[1, 2, 3], b"one more").await;
    let after = rig.agreed().await;
    assert_eq!(after[..30], before[..]);
    assert_eq!(after.len(), 31);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_a_voter_that_was_cut_off_does_not_disturb_the_leader() {
    let rig = Rig::group(3).await;
    until("all to follow", || {
        rig.nodes.values().all(|n| n.raft.status().leader.is_some_and(|(id, _)| id == 1))
    })
    .await;
    let term = rig.nodes[&1].raft.status().term;
    rig.wires.cut_off(3, &[1, 2]);
    // Several election timeouts: it has asked for pre-votes in vain by then.
    until("the leader to miss it", || !rig.nodes[&1].raft.status().heard.contains(&3)).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    rig.propose(&[1], b"meanwhile").await;
    rig.wires.heal();
    until("it to catch up", || rig.nodes[&3].entries() == [b"meanwhile"]).await;
    for node in rig.nodes.values() {
        let status = node.raft.status();
        assert_eq!((status.term, status.leader.map(|(id, _)| id)), (term, Some(1)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_a_leader_without_a_majority_neither_writes_nor_reads() {
    let rig = Rig::group(3).await;
    rig.propose(&[1], b"first").await;
    rig.wires.cut_off(1, &[2, 3]);
    let leader = rig.leader(&[2, 3]).await;
    rig.propose(&[leader], b"second").await;
    let old = &rig.nodes[&1].raft;
    let write = old.propose(b"lost".to_vec()).await.unwrap_err();
    assert!(matches!(write, ProposeError::NotLeader(None) | ProposeError::Unknown), "{write:?}");
    let read = old.read_index().await.unwrap_err();
    assert!(matches!(read, ReadError::NoQuorum | ReadError::NotLeader(None)), "{read:?}");
    assert_eq!(old.status().heard.len(), 1);
    rig.wires.heal();
    let entries = rig.agreed().await;
    assert_eq!(entries[..2], [b"first".to_vec(), b"second".to_vec()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_on_request_and_before_a_leader_stops() {
    let mut rig = Rig::group(3).await;
    let begun = Instant::now();
    rig.nodes[&1].raft.transfer_leader(2).await.unwrap();
    println!("transferred in {:?}", begun.elapsed());
    rig.propose(&[2], b"under 2").await;
    until("1 to follow", || rig.nodes[&1].raft.status().role == Role::Follower).await;
    assert!(
        rig.nodes[&1].raft.transfer_leader(3).await.unwrap_err().to_string().contains("the leader is 2 at")
    );
    assert!(rig.nodes[&2].raft.transfer_leader(9).await.unwrap_err().to_string().contains("no voter"));

    let begun = Instant::now();
    rig.stop(2).await;
    let stopped = begun.elapsed();
    let leader = rig.leader(&[1, 3]).await;
    rig.propose(&[leader], b"after 2").await;
    println!("stopped in {stopped:?}, next write after {:?}", begun.elapsed());
    assert!(begun.elapsed() < PATIENCE);
    rig.start(2).await.unwrap();
    assert_eq!(rig.agreed().await, [b"under 2".to_vec(), b"after 2".to_vec()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_index_covers_every_earlier_write() {
    let rig = Rig::group(3).await;
    for n in 0..20u32 {
        let leader = rig.leader(&[1, 2, 3]).await;
        let begun = Instant::now();
        let committed = rig.nodes[&leader].raft.propose(n.to_be_bytes().to_vec()).await.unwrap();
        let written = begun.elapsed();
        assert_eq!(committed.reply, [b"done:".as_slice(), &n.to_be_bytes()].concat());
        let index = rig.nodes[&leader].raft.read_index().await.unwrap();
        println!("write {written:?}, read index {:?}", begun.elapsed() - written);
        assert!(index >= committed.index);
        for node in rig.nodes.values() {
            node.raft.wait_applied(index, PATIENCE).await.unwrap();
            assert_eq!(node.entries().len() as u32, n + 1);
        }
    }
    let refused = rig.nodes[&2].raft.read_index().await.unwrap_err();
    assert!(matches!(refused, ReadError::NotLeader(Some((1, _)))), "{refused:?}");
}
