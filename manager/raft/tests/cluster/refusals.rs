//! What is refused, and in what words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use openraft::raft::VoteRequest;
use swarm_proto::v1::raft_client::RaftClient;
use swarm_proto::v1::{RaftPayload, SnapshotChunk};
use swarm_raft::types::{Types, Vote};
use swarm_raft::{Dial, MAX_COMMAND_BYTES, Member, ProposeError, RaftNode, Role, StartError, StoreKey};
use tonic::Code;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_speak_for_an_id_is_not_heard() {
    let rig = Rig::group(3).await;
    until("all to be heard", || rig.nodes[&1].raft.status().heard.len() == 3).await;
    let term = rig.nodes[&2].raft.status().term;
    // From now on nobody accepts 1's messages; the others choose among themselves, and 1 cannot win again.
    rig.strangers.lock().insert(1);
    rig.wires.cut_off(1, &[2, 3]);
    rig.leader(&[2, 3]).await;
    rig.wires.heal();
    rig.propose(&[2, 3], b"without 1").await;
    until("1 to follow", || rig.nodes[&1].entries() == [b"without 1"]).await;
    assert!(rig.nodes[&2].raft.status().term > term);
    assert_eq!(rig.nodes[&1].raft.status().role, Role::Follower);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_cannot_be_true_are_refused_and_change_nothing() {
    let rig = Rig::group(1).await;
    let before = rig.nodes[&1].raft.status();
    let addr = rig.nodes[&1].member.addr;
    let mut client = RaftClient::connect(format!("http://{addr}")).await.unwrap();
    let payload = |payload: Vec<u8>| RaftPayload { payload };
    let vote = |from: u64, to: u64, candidate: u64| {
        let body = VoteRequest::<Types>::new(Vote::new(99, candidate), None);
        payload(rmp_serde::to_vec_named(&Envelope { from, to, body }).unwrap())
    };
    for (request, code, words) in [
        (payload(b"garbage".to_vec()), Code::InvalidArgument, "cannot be decoded"),
        (payload(Vec::new()), Code::InvalidArgument, "cannot be decoded"),
        (vote(2, 7, 2), Code::FailedPrecondition, "meant for Raft id 7"),
        (vote(1, 1, 1), Code::PermissionDenied, "claims to come from this very manager"),
        (vote(2, 1, 3), Code::InvalidArgument, "comes from 2 and speaks for 3"),
    ] {
        for answer in [client.vote(request.clone()).await, client.pre_vote(request.clone()).await] {
            let status = answer.unwrap_err();
            assert!(status.code() == code && status.message().contains(words), "{status:?}");
        }
        let stream = futures::stream::iter([request.clone()]);
        let mut answers = client.append(stream).await.unwrap().into_inner();
        assert!(answers.message().await.is_err());
        let chunk = SnapshotChunk { header: request.payload, piece: vec![0; 10] };
        assert!(client.install_snapshot(futures::stream::iter([chunk])).await.is_err());
    }
    rig.strangers.lock().insert(2);
    assert_eq!(client.vote(vote(2, 1, 2)).await.unwrap_err().code(), Code::PermissionDenied);
    rig.propose(&[1], b"still fine").await;
    let after = rig.nodes[&1].raft.status();
    assert_eq!((after.term, after.role, after.stopped), (before.term, before.role, None));
}

#[derive(serde::Serialize)]
struct Envelope<T> {
    from: u64,
    to: u64,
    body: T,
}
