//! The key of a store is changed while the store is in use.

use std::sync::atomic::{AtomicBool, Ordering};

use swarm_raft::StoreKey;

use crate::rig::{Rig, STORE_KEY};

const FRESH: [u8; 32] = [8; 32];
const ALL: [u64; 3] = [1, 2, 3];

/// Proposes until told to stop; returns how often that was done.
async fn load(rig: &Rig, stop: &AtomicBool) -> u32 {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        rig.propose(&ALL, &u32::to_be_bytes(count)).await;
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s65_under_writes_everything_is_sealed_anew_and_the_old_key_opens_nothing() {
    let mut rig = Rig::group(3).await;
    // Beyond one snapshot and one piece of the log.
    for n in 0..600u32 {
        rig.propose(&ALL, &n.to_be_bytes()).await;
    }
    let old = StoreKey::new(STORE_KEY);
    let both = old.succeeded_by(FRESH);
    let stop = AtomicBool::new(false);
    let change = async {
        for id in ALL {
            rig.nodes[&id].raft.change_key(&both).await.unwrap();
            rig.nodes[&id].raft.change_key(&both.alone()).await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (written, ()) = tokio::join!(load(&rig, &stop), change);
    let before = rig.agreed().await;
    assert!(before.len() as u32 >= 600 + written);
    for id in ALL {
        rig.stop(id).await;
        let refused = rig.start(id).await.unwrap_err().to_string();
        assert!(refused.contains("does not fit the storage key"), "{refused}");
        rig.keys.insert(id, both.alone());
        rig.start(id).await.unwrap();
    }
    rig.propose(&ALL, b"and on").await;
    let after = rig.agreed().await;
    assert!(after.starts_with(&before) && after.len() > before.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_stopped_half_way_goes_on_with_both_keys_and_ends_with_one() {
    let mut rig = Rig::group(1).await;
    for n in 0..150u32 {
        rig.propose(&[1], &n.to_be_bytes()).await;
    }
    let both = StoreKey::new(STORE_KEY).succeeded_by(FRESH);
    rig.stop(1).await;
    // Nothing is sealed anew yet: as if it had been stopped right after the ring was written.
    rig.keys.insert(1, both.clone());
    rig.start(1).await.unwrap();
    rig.propose(&[1], b"under the new one").await;
    rig.stop(1).await;
    rig.start(1).await.unwrap();
    rig.nodes[&1].raft.change_key(&both).await.unwrap();
    rig.nodes[&1].raft.change_key(&both.alone()).await.unwrap();
    rig.stop(1).await;
    rig.keys.insert(1, both.alone());
    rig.start(1).await.unwrap();
    rig.propose(&[1], b"and on").await;
    assert_eq!(rig.agreed().await.len(), 152);
}
