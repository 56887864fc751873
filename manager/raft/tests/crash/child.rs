//! The process that is killed: appends, votes, truncates and purges as fast as it can, saying what is acknowledged.

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;

use openraft::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::RaftLeaderId;
use swarm_raft::StoreKey;
use swarm_raft::log::{Journal, LogStore, Sizes, SledEngine};
use swarm_raft::types::{Entry, LogId, Types, Vote};

use crate::model::{ID, KEY, command, mark};
use crate::rig::{DIR, Random, SEED};

/// Appends that may wait for the disk together.
const UNDER_WAY: usize = 6;
/// Entries kept when purging.
const KEPT: u64 = 150;

type Receiver = openraft::alias::OneshotReceiverOf<Types, std::io::Result<()>>;

/// One write, so that a line is there whole or not at all.
pub fn say(line: &str) {
    std::io::stdout().write_all(format!("@{line}\n").as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

pub fn given() -> Option<(PathBuf, Random)> {
    let dir = std::env::var_os(DIR)?;
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    say(&format!("pid {}", std::process::id()));
    Some((dir.into(), Random(seed)))
}

/// Does nothing in an ordinary run.
#[test]
fn log_child() {
    live(async |writer| writer.step().await);
}

/// As a candidate that never wins: votes, and no append whose flush would take a vote along. Does nothing in an ordinary
/// run.
#[test]
fn vote_child() {
    live(async |writer| writer.vote().await);
}

fn live(step: impl AsyncFn(&mut Writer) -> std::io::Result<()>) {
    let Some((dir, mut random)) = given() else { return };
    // Half of them with a journal so small that its files are turned and the log moves on to sled all the time.
    let sizes = match random.below(2) {
        0 => Sizes { segment: 512 << 10, move_bytes: 16 << 10 },
        _ => Sizes::default(),
    };
    let engine = Journal::open(SledEngine::open(&dir).unwrap(), &dir, sizes).unwrap();
    let log = LogStore::open(Box::new(engine), &mark(&dir), &StoreKey::new(KEY), ID).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let life = async {
        let mut writer = Writer::open(log, random).await?;
        loop {
            step(&mut writer).await?;
        }
    };
    let ended: std::io::Result<()> = runtime.block_on(life);
    if let Err(error) = ended {
        say(&format!("failed {error}"));
    }
}

struct Writer {
    log: LogStore,
    random: Random,
    term: u64,
    first: u64,
    next: u64,
    /// First, last and term of each append not yet acknowledged.
    waiting: VecDeque<(u64, u64, u64, Receiver)>,
}

fn id(term: u64, index: u64) -> LogId {
    LogId::new(openraft::alias::LeaderIdOf::<Types>::new(term, ID).to_committed(), index)
}

impl Writer {
    async fn open(mut log: LogStore, random: Random) -> std::io::Result<Self> {
        let state = log.get_log_state().await?;
        let first = state.last_purged_log_id.map_or(0, |id| id.index + 1);
        let next = state.last_log_id.map_or(0, |id| id.index + 1);
        let term = state.last_log_id.map_or(0, |id| id.committed_leader_id().term);
        let mut writer = Self { log, random, term, first, next, waiting: VecDeque::new() };
        let vote = openraft::RaftLogReader::read_vote(&mut writer.log.get_log_reader().await).await?;
        writer.term = vote.map_or(writer.term, |vote| vote.leader_id.term.max(writer.term));
        writer.vote().await?;
        say("open");
        Ok(writer)
    }

    async fn step(&mut self) -> std::io::Result<()> {
        match self.random.below(100) {
            0..4 => self.vote().await,
            4..7 => self.truncate().await,
            7..12 if self.next > self.first + 2 * KEPT => self.purge().await,
            _ => self.append().await,
        }
    }

    async fn vote(&mut self) -> std::io::Result<()> {
        self.term += 1;
        self.log.save_vote(&Vote::new_committed(self.term, ID)).await?;
        say(&format!("vote {}", self.term));
        Ok(())
    }

    async fn append(&mut self) -> std::io::Result<()> {
        let last = self.next + self.random.below(6);
        let entry = |index| Entry {
            log_id: id(self.term, index),
            payload: EntryPayload::Normal(command(self.term, index)),
        };
        let entries: Vec<Entry> = (self.next..=last).map(entry).collect();
        let (sender, receiver) = Types::oneshot();
        self.log.append(entries, IOFlushed::signal(sender)).await?;
        self.waiting.push_back((self.next, last, self.term, receiver));
        self.next = last + 1;
        self.settle(UNDER_WAY).await
    }

    /// Waits until at most so many appends are unacknowledged.
    async fn settle(&mut self, left: usize) -> std::io::Result<()> {
        while self.waiting.len() > left {
            let Some((first, last, term, receiver)) = self.waiting.pop_front() else { break };
            receiver.await.map_err(std::io::Error::other)??;
            say(&format!("acked {first} {last} {term}"));
        }
        Ok(())
    }

    async fn truncate(&mut self) -> std::io::Result<()> {
        let room = self.next - self.first;
        if room < 10 {
            return Ok(());
        }
        self.settle(0).await?;
        let from = self.next - 1 - self.random.below(8);
        let mut reader = self.log.get_log_reader().await;
        let before = openraft::RaftLogReader::try_get_log_entries(&mut reader, from - 1..from).await?;
        say(&format!("truncating {from}"));
        self.log.truncate_after(before.last().map(|entry| entry.log_id)).await?;
        self.next = from;
        self.vote().await
    }

    async fn purge(&mut self) -> std::io::Result<()> {
        let end = self.next - KEPT;
        let mut reader = self.log.get_log_reader().await;
        let last = openraft::RaftLogReader::try_get_log_entries(&mut reader, end - 1..end).await?;
        let Some(last) = last.last() else { return Ok(()) };
        say(&format!("purging {end}"));
        self.log.purge(last.log_id).await?;
        self.first = end;
        Ok(())
    }
}
