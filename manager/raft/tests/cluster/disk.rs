//! What happens when a disk is full, and when it no longer is.

use swarm_raft::{ProposeError, Role};

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f08_a_leader_whose_disk_is_full_steps_aside_and_catches_up_later() {
    let rig = Rig::group(3).await;
    rig.propose(&[1], b"before").await;
    rig.full.lock().insert(1);
    let leader = rig.leader(&[2, 3]).await;
    rig.propose(&[leader], b"meanwhile").await;
    rig.propose(&[leader], b"and more").await;
    // It lives and votes, and takes nothing.
    let status = rig.nodes[&1].raft.status();
    assert_eq!((status.role, status.stopped), (Role::Follower, None));
    assert_eq!(rig.nodes[&1].entries(), [b"before"]);
    let refused = rig.nodes[&1].raft.propose(b"here".to_vec()).await.unwrap_err();
    assert!(matches!(refused, ProposeError::NotLeader(Some(_))), "{refused:?}");
    rig.full.lock().clear();
    assert_eq!(rig.agreed().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f08_a_group_whose_disks_are_all_full_can_be_read_and_goes_on_when_there_is_space() {
    let rig = Rig::group(3).await;
    rig.propose(&[1], b"before").await;
    rig.full.lock().extend([1, 2, 3]);
    let refused = loop {
        let leader = rig.leader(&[1, 2, 3]).await;
        match rig.nodes[&leader].raft.propose(b"too much".to_vec()).await {
            Err(error @ ProposeError::DiskFull) => break error,
            // The others may have seen first that their disks are full, and taken it no more.
            Ok(_) | Err(ProposeError::NotLeader(_) | ProposeError::Unknown) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert!(refused.to_string().contains("free some space"), "{refused}");
    loop {
        let leader = rig.leader(&[1, 2, 3]).await;
        if rig.nodes[&leader].raft.read_index().await.is_ok() {
            break;
        }
    }
    rig.full.lock().clear();
    loop {
        let leader = rig.leader(&[1, 2, 3]).await;
        match rig.nodes[&leader].raft.propose(b"after".to_vec()).await {
            Ok(_) => break,
            Err(ProposeError::DiskFull | ProposeError::NotLeader(_) | ProposeError::Unknown) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(rig.agreed().await.last().unwrap(), b"after");
}
