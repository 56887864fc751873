//! A group of one made from what is left of a larger one.

use std::fs;
use std::time::Instant;

use swarm_raft::{Export, Machine, ProposeError, Role, Seed, Seeded, export};

use crate::rig::{Journal, Rig, config, until};

/// Three voters with a hundred and fifty entries, none of them running any more.
async fn lost_group() -> Rig {
    let mut rig = Rig::group(3).await;
    for n in 0..150u32 {
        rig.propose(&[1, 2, 3], &n.to_be_bytes()).await;
    }
    rig.agreed().await;
    for id in [1, 2, 3] {
        rig.crash(id).await;
    }
    rig
}

fn seed(rig: &Rig, id: u64, export: &Export) -> Seed {
    let me = rig.member(id);
    Seed { me, term: export.term, index: export.index, state: export.state.clone() }
}

fn entries(state: &[u8]) -> Vec<Vec<u8>> {
    let mut journal = Journal::default();
    journal.restore(0, state).unwrap();
    journal.0.lock().iter().map(|(_, entry)| entry.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_survivor_knows_goes_on_as_a_group_of_one_and_grows_again() {
    let mut rig = lost_group().await;
    let survivor = export(config(2, &rig.dir(2)), Journal::default()).await.unwrap();
    assert_eq!(entries(&survivor.state).len(), 150);
    assert!(survivor.committed <= survivor.index && survivor.index >= 150, "{survivor:?}");
    assert_eq!(survivor.voters.keys().collect::<Vec<_>>(), [&1, &2, &3]);
    rig.settle(7).await;
    let seeded = Seeded::prepare(&config(7, &rig.dir(7)), seed(&rig, 7, &survivor)).await.unwrap();
    fs::write(seeded.dir().join("member"), "7").unwrap();
    seeded.install().unwrap();
    assert_eq!(fs::read(rig.dir(7).join("member")).unwrap(), b"7");
    let begun = Instant::now();
    rig.start(7).await.unwrap();
    rig.propose(&[7], b"alone").await;
    println!("started and written in {:?}", begun.elapsed());
    let status = rig.nodes[&7].raft.status();
    assert!(status.term > survivor.term && status.applied > survivor.index, "{status:?}");
    assert_eq!(status.voters.keys().collect::<Vec<_>>(), [&7]);
    for id in [8, 9] {
        rig.start(id).await.unwrap();
        let (leader, member) = (&rig.nodes[&7].raft, rig.nodes[&id].member.clone());
        leader.add_learner(id, member).await.unwrap();
        leader.promote(id).await.unwrap();
    }
    rig.propose(&[7], b"together").await;
    let agreed = rig.agreed().await;
    assert_eq!((agreed.len(), &agreed[150..]), (152, &[b"alone".to_vec(), b"together".to_vec()][..]));
    // It starts like any other from then on, its first voter lost or not.
    rig.crash(7).await;
    rig.propose(&[8, 9], b"without the first").await;
    rig.start(7).await.unwrap();
    assert_eq!(rig.agreed().await.len(), 153);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_a_directory_is_replaced_leaves_the_old_or_the_new() {
    let mut rig = lost_group().await;
    let dir = rig.dir(7);
    fs::rename(rig.dir(2), &dir).unwrap();
    let old = || export(config(2, &dir), Journal::default());
    let survivor = old().await.unwrap();
    rig.settle(7).await;
    let fresh = config(7, &dir);
    let prepare = || Seeded::prepare(&fresh, seed(&rig, 7, &survivor));
    // Cut off at each of its steps, the preparation leaves the old in place, and the next one does not mind.
    for left in ["snapshots", "log", "log.mark"] {
        let seeded = prepare().await.unwrap();
        let gone = seeded.dir().join(left);
        fs::remove_dir_all(&gone).or_else(|_| fs::remove_file(&gone)).unwrap();
        drop(seeded);
        assert_eq!(old().await.unwrap(), survivor);
    }
    let refused = prepare().await.unwrap().install().unwrap_err().to_string();
    assert!(refused.contains("are there already"), "{refused}");
    assert_eq!(old().await.unwrap(), survivor);
    let kept = prepare().await.unwrap().replace().unwrap();
    assert_eq!(export(config(2, &kept), Journal::default()).await.unwrap(), survivor);
    // Between the exchange and the renaming of the old.
    let new = kept.with_extension("new");
    fs::rename(&kept, &new).unwrap();
    assert!(old().await.unwrap_err().to_string().contains("belongs to Raft id 7"));
    rig.start(7).await.unwrap();
    until("it to lead", || rig.nodes[&7].raft.status().role == Role::Leader).await;
    assert_eq!(rig.nodes[&7].entries().len(), 150);
    rig.propose(&[7], b"new").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_only_a_survivor_has_is_told_apart_and_kept() {
    let mut rig = Rig::group(3).await;
    rig.propose(&[1], b"known to all").await;
    let before = rig.nodes[&1].raft.status();
    rig.wires.cut_off(1, &[2, 3]);
    let alone = rig.nodes[&1].raft.propose(b"only here".to_vec()).await.unwrap_err();
    assert!(matches!(alone, ProposeError::Unknown), "{alone:?}");
    let status = rig.nodes[&1].raft.status();
    assert_eq!((status.last_term, status.last_index), (before.last_term, before.last_index + 1));
    assert!(status.last_index > status.applied);
    let open = export(config(1, &rig.dir(1)), Journal::default()).await.unwrap_err().to_string();
    assert!(open.contains("another process has the log open"), "{open}");
    rig.crash(1).await;
    let survivor = export(config(1, &rig.dir(1)), Journal::default()).await.unwrap();
    assert_eq!(entries(&survivor.state), [b"known to all".to_vec(), b"only here".to_vec()]);
    assert!(survivor.committed < survivor.index, "{survivor:?}");
    assert_eq!((survivor.last_term, survivor.index), (status.last_term, status.last_index));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_must_be_something_to_go_on_from() {
    let mut rig = Rig::new();
    let missing = export(config(1, &rig.dir(1)), Journal::default()).await.unwrap_err().to_string();
    assert!(missing.contains("no manager's files are there"), "{missing}");
    assert!(!rig.dir(1).exists());
    rig.start(1).await.unwrap();
    rig.stop(1).await;
    let empty = export(config(1, &rig.dir(1)), Journal::default()).await.unwrap_err().to_string();
    assert!(empty.contains("never belonged to a cluster"), "{empty}");
}
