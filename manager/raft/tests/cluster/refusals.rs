//! What is refused, and in what words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use swarm_raft::{Dial, MAX_COMMAND_BYTES, Member, ProposeError, RaftNode, Role, StartError, StoreKey};
use tonic::transport::Channel;

use crate::rig::{Journal, PATIENCE, Rig, config, until};

/// For nodes that talk to nobody.
struct Nobody;

impl Dial for Nobody {
    fn channel(&self, member: &Member) -> BoxFuture<'static, Result<Channel, String>> {
        let reason = format!("{member} is out of reach");
        async { Err(reason) }.boxed()
    }
}

async fn refusal(config: swarm_raft::RaftConfig) -> String {
    match RaftNode::start(config, Journal::default(), Arc::new(Nobody)).await {
        Err(error @ StartError::Store { .. }) => error.to_string(),
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("it started"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opens_for_its_own_key_and_id_only() {
    let mut rig = Rig::group(1).await;
    rig.propose(&[1], b"a secret of the cluster").await;
    rig.stop(1).await;
    let dir = rig.dir(1);
    let other_key = swarm_raft::RaftConfig { key: StoreKey::new([8; 32]), ..config(1, &dir) };
    let message = refusal(other_key).await;
    assert!(message.contains("does not fit the storage key"), "{message}");
    let message = refusal(config(2, &dir)).await;
    assert!(message.contains("belongs to Raft id 1, not to 2"), "{message}");
    // Nothing of it lies on the disk in clear, and nobody else may look.
    let db = fs::read(dir.join("log/db")).unwrap();
    assert!(!db.windows(8).any(|w| w == b"a secret"));
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    // The refusals changed nothing.
    rig.start(1).await.unwrap();
    until("it to lead", || rig.nodes[&1].raft.status().role == Role::Leader).await;
    assert_eq!(rig.agreed().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_stops_the_manager_with_its_name() {
    let mut rig = Rig::group(1).await;
    for n in 0..250u32 {
        rig.propose(&[1], &n.to_be_bytes()).await;
    }
    let snapshots = rig.dir(1).join("snapshots");
    let complete = || {
        fs::read_dir(&snapshots)
            .unwrap()
            .map(|e| e.unwrap().path())
            .find(|p| p.extension().is_some_and(|e| e == "snapshot"))
    };
    until("a snapshot", || complete().is_some()).await;
    rig.stop(1).await;
    let path = complete().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&path, bytes).unwrap();
    let error = rig.start(1).await.unwrap_err().to_string();
    assert!(error.contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_the_machine_does_not_know_stops_the_manager() {
    let rig = Rig::group(1).await;
    let node = &rig.nodes[&1].raft;
    rig.propose(&[1], b"fine").await;
    let error = node.propose(b"poison".to_vec()).await.unwrap_err();
    assert!(matches!(error, ProposeError::Stopped(_) | ProposeError::Unknown), "{error:?}");
    until("it to stop", || node.status().role == Role::Stopped).await;
    let reason = node.status().stopped.unwrap();
    assert!(reason.contains("command 255 is unknown to this version"), "{reason}");
    assert!(matches!(node.propose(b"later".to_vec()).await, Err(ProposeError::Stopped(_))));
    assert!(node.wait_applied(1_000_000, PATIENCE).await.is_err());
    assert_eq!(rig.nodes[&1].entries(), [b"fine"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_command_passes_and_a_larger_one_says_so() {
    let rig = Rig::group(3).await;
    let node = &rig.nodes[&1].raft;
    node.propose(vec![1; MAX_COMMAND_BYTES]).await.unwrap();
    let error = node.propose(vec![1; MAX_COMMAND_BYTES + 1]).await.unwrap_err();
    assert_eq!(error, ProposeError::TooLarge { bytes: MAX_COMMAND_BYTES + 1, limit: MAX_COMMAND_BYTES });
    assert!(error.to_string().contains("split it"), "{error}");
    assert_eq!(rig.agreed().await, [vec![1; MAX_COMMAND_BYTES]]);
    for id in 1..=3 {
        assert_eq!(fs::read_dir(rig.dir(id).join("log/blobs")).unwrap().count(), 0);
    }
}
