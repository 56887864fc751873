//! Members coming and going.

use std::fs;
use std::path::Path;
use std::time::Instant;

use swarm_raft::{Member, MemberError, Role};

use crate::rig::{Rig, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_one_leads_at_once_and_again_after_a_restart() {
    let mut rig = Rig::new();
    let begun = Instant::now();
    rig.start(1).await.unwrap();
    let node = &rig.nodes[&1];
    node.raft.bootstrap(node.member.clone()).await.unwrap();
    node.raft.propose(b"first".to_vec()).await.unwrap();
    println!("started, bootstrapped and written in {:?}", begun.elapsed());
    assert_eq!(node.raft.read_index().await.unwrap(), node.raft.status().applied);
    assert_eq!(node.raft.status().voters.keys().collect::<Vec<_>>(), [&1]);
    let again = node.raft.bootstrap(node.member.clone()).await.unwrap_err();
    assert_eq!(again, MemberError::Refused("this manager already belongs to a Raft group".to_owned()));

    rig.stop(1).await;
    let begun = Instant::now();
    rig.start(1).await.unwrap();
    until("it to lead again", || rig.nodes[&1].raft.status().role == Role::Leader).await;
    rig.nodes[&1].raft.propose(b"second".to_vec()).await.unwrap();
    println!("restarted and written in {:?}", begun.elapsed());
    assert_eq!(rig.nodes[&1].entries(), [b"first".to_vec(), b"second".to_vec()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_a_snapshot_when_the_log_no_longer_begins_at_the_beginning() {
    let mut rig = Rig::group(1).await;
    let big = vec![b'x'; 20_000];
    for n in 0..450u32 {
        rig.propose(&[1], &[&n.to_be_bytes(), big.as_slice()].concat()).await;
    }
    // By then the log begins after entry 100 at the latest.
    until("a late snapshot", || newest_snapshot(&rig.dir(1)) > 300).await;
    rig.start(2).await.unwrap();
    let begun = Instant::now();
    let member = rig.nodes[&2].member.clone();
    rig.nodes[&1].raft.add_learner(2, member).await.unwrap();
    println!("caught up in {:?}", begun.elapsed());
    let status = rig.nodes[&1].raft.status();
    assert_eq!((status.voters.len(), status.learners.keys().collect::<Vec<_>>()), (1, vec![&2]));
    let begun = Instant::now();
    rig.nodes[&1].raft.promote(2).await.unwrap();
    println!("promoted in {:?}", begun.elapsed());
    rig.nodes[&1].raft.promote(2).await.unwrap();
    assert_eq!(rig.agreed().await.len(), 450);
    assert!(newest_snapshot(&rig.dir(2)) > 0, "it came as entries");
    // What was installed is what it starts from.
    rig.stop(2).await;
    rig.start(2).await.unwrap();
    assert_eq!(rig.agreed().await.len(), 450);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_join_side_by_side_and_leave_again() {
    let mut rig = Rig::group(1).await;
    for id in 2..=5 {
        rig.start(id).await.unwrap();
    }
    let begun = Instant::now();
    let leader = &rig.nodes[&1].raft;
    let joins = (2..=5).map(|id| {
        let (leader, member) = (leader.clone(), rig.nodes[&id].member.clone());
        async move {
            leader.add_learner(id, member).await?;
            leader.promote(id).await
        }
    });
    for result in futures::future::join_all(joins).await {
        result.unwrap();
    }
    println!("four joined in {:?}", begun.elapsed());
    assert_eq!(leader.status().voters.len(), 5);
    until("all to be heard", || leader.status().heard.len() == 5).await;
    for id in 2..=5 {
        leader.remove(id).await.unwrap();
        leader.remove(id).await.unwrap();
    }
    assert_eq!(leader.status().voters.keys().collect::<Vec<_>>(), [&1]);
    let last = leader.remove(1).await.unwrap_err();
    assert!(last.to_string().contains("last voter"), "{last}");
    rig.propose(&[1], b"alone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_manager_is_not_its_old_self() {
    let mut rig = Rig::group(3).await;
    rig.propose(&[1], b"known to all").await;
    rig.agreed().await;
    rig.crash(3).await;
    fs::remove_dir_all(rig.dir(3)).unwrap();
    rig.take_address(33, 3);
    rig.start(33).await.unwrap();
    // The leader goes on calling id 3 at this address; nobody there answers to that name.
    rig.propose(&[1], b"without it").await;
    until("3 to be missed", || !rig.nodes[&1].raft.status().heard.contains(&3)).await;
    assert_eq!((rig.nodes[&33].raft.status().applied, rig.nodes[&33].entries().len()), (0, 0));
    // Joined under its new id it is a member like any other.
    let mut member = rig.nodes[&33].member.clone();
    member.node = "33".to_owned();
    let leader = &rig.nodes[&1].raft;
    leader.remove(3).await.unwrap();
    leader.add_learner(33, member).await.unwrap();
    leader.promote(33).await.unwrap();
    assert_eq!(rig.agreed().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_moved_is_found_again_under_its_old_name() {
    let mut rig = Rig::group(3).await;
    rig.propose(&[1], b"before").await;
    // A follower first, then the leader once it no longer leads.
    for (mover, leader) in [(3, 1), (1, 2)] {
        if rig.leader(&[1, 2, 3]).await != leader {
            rig.nodes[&mover].raft.transfer_leader(leader).await.unwrap();
        }
        let old = rig.nodes[&mover].member.clone();
        rig.stop(mover).await;
        rig.move_away(mover);
        rig.start(mover).await.unwrap();
        let moved = rig.nodes[&mover].member.clone();
        assert_ne!(moved.addr, old.addr);
        let begun = Instant::now();
        let raft = &rig.nodes[&leader].raft;
        raft.update_member(mover, moved.clone()).await.unwrap();
        until("it to be heard again", || raft.status().heard.contains(&mover)).await;
        println!("found again after {:?}", begun.elapsed());
        assert_eq!(raft.status().voters[&mover], moved);
        // Once more changes nothing; under another name it is another manager.
        let applied = raft.status().applied;
        raft.update_member(mover, moved.clone()).await.unwrap();
        assert_eq!(raft.status().applied, applied);
        let other = Member { node: "7".to_owned(), ..moved };
        let refused = raft.update_member(mover, other).await.unwrap_err().to_string();
        assert!(refused.contains("stands for node"), "{refused}");
        rig.propose(&[leader], &[mover as u8]).await;
        assert_eq!(rig.agreed().await.last().unwrap(), &[mover as u8]);
    }
    let stranger = Member { node: "9".to_owned(), addr: rig.nodes[&1].member.addr };
    let refused = rig.nodes[&2].raft.update_member(9, stranger.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("no member"), "{refused}");
    let refused = rig.nodes[&3].raft.update_member(9, stranger).await.unwrap_err();
    assert!(matches!(refused, MemberError::NotLeader(Some((2, _)))), "{refused:?}");
    // The new addresses are on disk, with the log.
    for id in [1, 2, 3] {
        rig.crash(id).await;
    }
    for id in [1, 2, 3] {
        rig.start(id).await.unwrap();
    }
    let leader = rig.leader(&[1, 2, 3]).await;
    for id in [1, 2, 3] {
        assert_eq!(rig.nodes[&leader].raft.status().voters[&id], rig.nodes[&id].member);
    }
}

/// How many entries the newest snapshot covers, by its name.
fn newest_snapshot(dir: &Path) -> u64 {
    let names = fs::read_dir(dir.join("snapshots")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter_map(|name| name.to_str()?.split_once('-')?.0.parse().ok()).max().unwrap_or(0)
}
