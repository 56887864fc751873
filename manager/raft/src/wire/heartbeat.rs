//! Answers a leader's sign of life without waiting for the disk.
//!
//! Knows: what a leader takes the answer for. Must not know: how the answer travels.
//!
//! openraft answers every append once all that was appended before it is on disk. A disk that takes a second would so
//! make a leader think itself alone, while entries are only late. A heartbeat's answer says no more than that this
//! manager holds to the leader's vote: that is so once Raft has taken the message and this very vote is on disk.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, StreamAppendResult};
use tonic::Status;

use super::server::stopped;
use crate::log::LogWatch;
use crate::types::{Raft, Types};

pub async fn answer(
    raft: Raft,
    log: LogWatch,
    request: AppendEntriesRequest<Types>,
) -> Result<StreamAppendResult<Types>, Status> {
    let (vote, before) = (request.vote, request.prev_log_id);
    let held = async {
        // Asked after the append, so answered after it was taken.
        let accepted = raft.with_raft_state(move |state| *state.vote_ref() == vote).await;
        accepted.is_ok_and(|accepted| accepted) && log.durable_vote() == Some(vote)
    };
    let appended = raft.append_entries(request);
    tokio::pin!(appended);
    let response = tokio::select! {
        biased;
        response = &mut appended => response,
        held = held => match held {
            // Claims no entry: none of them need be on disk.
            true => return Ok(Ok(None)),
            false => appended.await,
        },
    };
    match response.map_err(stopped)? {
        AppendEntriesResponse::Success => Ok(Ok(before)),
        AppendEntriesResponse::PartialSuccess(last) => Ok(Ok(last)),
        AppendEntriesResponse::HigherVote(vote) => Ok(Err(StreamAppendError::HigherVote(vote))),
        AppendEntriesResponse::Conflict => match before {
            Some(before) => Ok(Err(StreamAppendError::Conflict(before))),
            None => Err(Status::internal("a heartbeat that follows nothing conflicts with something")),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::Duration;

    use futures::FutureExt;
    use futures::future::BoxFuture;
    use openraft::vote::RaftLeaderId;
    use openraft::{Config, EntryPayload, Membership};
    use tokio::sync::watch;
    use tonic::transport::Channel;

    use super::*;
    use crate::api::{Dial, Member};
    use crate::apply::Applier;
    use crate::config::StoreKey;
    use crate::log::failing::{Disk, open};
    use crate::snapshots::Snapshots;
    use crate::suite::Empty;
    use crate::types::{Command, Entry, LogId, Vote};
    use crate::wire::{Links, Network};

    const SOON: Duration = Duration::from_secs(5);

    struct Nobody;

    impl Dial for Nobody {
        fn channel(&self, _: &Member) -> BoxFuture<'static, Result<Channel, String>> {
            std::future::ready(Err("nobody is there".to_owned())).boxed()
        }
    }

    /// Follower 2 of a group whose leader is the test.
    async fn follower(disk: &Arc<Disk>, dir: &std::path::Path) -> (Raft, LogWatch) {
        let log = open(disk);
        let watched = log.watch();
        let snapshots = Snapshots::open(
            dir.join("snapshots"),
            &StoreKey::new([1; 32]),
            crate::config::Cadence::default().for_good(),
        )
        .unwrap();
        let applier =
            Applier::new(Box::new(Empty), Arc::new(snapshots), watch::channel(0).0, watch::channel(false).1);
        let network = Network::new(2, SOON, Links::new(Arc::new(Nobody)));
        let config = Arc::new(Config { enable_elect: false, ..Config::default() }.validate().unwrap());
        (Raft::new(2, config, network, log, applier).await.unwrap(), watched)
    }

    fn id(index: u64) -> LogId {
        LogId::new(openraft::alias::LeaderIdOf::<Types>::new(1, 1).to_committed(), index)
    }

    fn append(
        vote: Vote,
        before: Option<u64>,
        payload: Option<EntryPayload<Command, u64, Member>>,
    ) -> AppendEntriesRequest<Types> {
        let index = before.map_or(0, |before| before + 1);
        let entries = payload.map(|payload| Entry { log_id: id(index), payload }).into_iter().collect();
        AppendEntriesRequest { vote, prev_log_id: before.map(id), entries, leader_commit: None }
    }

    #[tokio::test]
    async fn f09_a_slow_disk_holds_up_entries_and_votes_and_no_sign_of_life() {
        let (disk, dir) = (Arc::new(Disk::default()), tempfile::tempdir().unwrap());
        let (raft, log) = follower(&disk, dir.path()).await;
        let members = [1, 2, 3].map(|id| (id, Member::default()));
        let members = Membership::new(vec![BTreeSet::from([1, 2, 3])], BTreeMap::from(members)).unwrap();
        let leader = Vote::new_committed(1, 1);
        let first = append(leader, None, Some(EntryPayload::Membership(members)));
        raft.append_entries(first).await.unwrap();

        disk.stall(true);
        let second = append(leader, Some(0), Some(EntryPayload::Normal(Command(vec![7; 10].into()))));
        let appending = tokio::spawn({
            let raft = raft.clone();
            async move { raft.append_entries(second).await }
        });
        let begun = std::time::Instant::now();
        while log.last() != Some(id(1)) {
            assert!(begun.elapsed() < SOON, "the entry never came");
            tokio::task::yield_now().await;
        }
        let beat = |vote, before| answer(raft.clone(), log.clone(), append(vote, Some(before), None));
        let alive = tokio::time::timeout(SOON, beat(leader, 0)).await.unwrap().unwrap();
        assert_eq!(alive, Ok(None));
        assert!(!appending.is_finished(), "an entry was acknowledged before it was on disk");
        // What it holds to must be on disk all the same, or a crash would have it hold to something else.
        let other = Vote::new_committed(2, 3);
        let mut waiting = Box::pin(beat(other, 0));
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err());
        disk.stall(false);
        assert_eq!(tokio::time::timeout(SOON, waiting).await.unwrap().unwrap(), Ok(Some(id(0))));
        let late = beat(leader, 0).await.unwrap();
        assert!(matches!(late, Err(StreamAppendError::HigherVote(vote)) if vote == other), "{late:?}");
        let far = beat(other, 9).await.unwrap();
        assert_eq!(far, Err(StreamAppendError::Conflict(id(9))));
        raft.shutdown().await.unwrap();
    }
}
