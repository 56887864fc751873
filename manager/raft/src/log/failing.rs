//! A disk that fails or is slow, under the real log: what may be acknowledged then, and what must not wait.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::RaftLeaderId;
use openraft::{EntryPayload, RaftLogReader};
use parking_lot::{Condvar, Mutex};

use super::{Engine, EngineError, LogStore};
use crate::config::StoreKey;
use crate::types::{Command, Entry, LogId, Types, Vote};

/// Records in memory; `flush` fails when told to, and waits while the gate is shut.
#[derive(Default)]
pub struct Disk {
    entries: Mutex<BTreeMap<u64, Vec<u8>>>,
    named: Mutex<BTreeMap<String, Vec<u8>>>,
    broken: AtomicBool,
    flushes: AtomicU64,
    shut: Mutex<bool>,
    gate: Condvar,
    home: Home,
}

struct Home(tempfile::TempDir);

impl Default for Home {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

struct Handle(Arc<Disk>);

impl Engine for Handle {
    fn put(&self, index: u64, value: &[u8]) -> Result<(), EngineError> {
        self.0.entries.lock().insert(index, value.to_vec());
        Ok(())
    }
    fn read(&self, first: u64, last: u64, _: usize) -> Result<Vec<(u64, Vec<u8>)>, EngineError> {
        Ok(self.0.entries.lock().range(first..=last).map(|(index, value)| (*index, value.clone())).collect())
    }
    fn remove_from(&self, first: u64) -> Result<(), EngineError> {
        self.0.entries.lock().split_off(&first);
        Ok(())
    }
    fn remove_through(&self, last: u64) -> Result<(), EngineError> {
        self.0.entries.lock().retain(|index, _| *index > last);
        Ok(())
    }
    fn put_named(&self, name: &str, value: &[u8]) -> Result<(), EngineError> {
        self.0.named.lock().insert(name.to_owned(), value.to_vec());
        Ok(())
    }
    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.0.named.lock().get(name).cloned())
    }
    fn flush(&self) -> Result<(), EngineError> {
        let mut shut = self.0.shut.lock();
        self.0.gate.wait_while(&mut shut, |shut| *shut);
        self.0.flushes.fetch_add(1, Ordering::SeqCst);
        match self.0.broken.load(Ordering::SeqCst) {
            true => Err(EngineError::Io {
                action: "syncing the log file",
                source: io::ErrorKind::StorageFull.into(),
            }),
            false => Ok(()),
        }
    }
}

fn try_open(disk: &Arc<Disk>) -> Result<LogStore, String> {
    let mark = disk.home.0.path().join("mark");
    LogStore::open(Box::new(Handle(disk.clone())), &mark, &StoreKey::new([1; 32]), 1)
        .map_err(|e| e.to_string())
}

impl Disk {
    /// Has every flush wait from now on, or wait no longer.
    pub fn stall(&self, stalled: bool) {
        *self.shut.lock() = stalled;
        self.gate.notify_all();
    }
}

pub fn open(disk: &Arc<Disk>) -> LogStore {
    try_open(disk).unwrap()
}

fn entry(index: u64) -> Entry {
    let leader = openraft::alias::LeaderIdOf::<Types>::new(1, 1).to_committed();
    Entry { log_id: LogId::new(leader, index), payload: EntryPayload::Normal(Command(vec![7; 100].into())) }
}

type Answer = openraft::alias::OneshotReceiverOf<Types, io::Result<()>>;

async fn append(log: &mut LogStore, index: u64) -> io::Result<Answer> {
    let (sender, receiver) = Types::oneshot();
    log.append([entry(index)], IOFlushed::signal(sender)).await?;
    Ok(receiver)
}

#[tokio::test]
async fn f06_nothing_is_acknowledged_once_a_flush_has_failed() {
    let disk = Arc::new(Disk::default());
    let mut log = open(&disk);
    append(&mut log, 0).await.unwrap().await.unwrap().unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    let error = append(&mut log, 1).await.unwrap().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("takes nothing more: syncing the log file failed"), "{error}");
    // One failure is final: the kernel may have dropped the pages, so a second fsync proves nothing.
    disk.broken.store(false, Ordering::SeqCst);
    let flushes = disk.flushes.load(Ordering::SeqCst);
    assert!(append(&mut log, 2).await.is_err());
    assert!(log.save_vote(&Vote::new(9, 1)).await.is_err());
    assert!(log.purge(entry(0).log_id).await.is_err());
    assert_eq!(disk.flushes.load(Ordering::SeqCst), flushes);
    assert_eq!(log.get_log_reader().await.read_vote().await.unwrap(), None);
}

#[tokio::test]
async fn a_slow_flush_holds_up_neither_appends_nor_reads_and_is_shared() {
    let disk = Arc::new(Disk::default());
    let mut log = open(&disk);
    disk.stall(true);
    let flushes = disk.flushes.load(Ordering::SeqCst);
    let begun = Instant::now();
    let mut answers = Vec::new();
    for index in 0..500 {
        answers.push(append(&mut log, index).await.unwrap());
    }
    let read = log.get_log_reader().await.try_get_log_entries(0..500).await.unwrap();
    assert_eq!(read.len(), 500);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let candidate = Vote::new(2, 1);
    let mut vote = std::pin::pin!(log.save_vote(&candidate));
    assert!(futures::poll!(vote.as_mut()).is_pending(), "a vote was acknowledged before it was on disk");
    disk.stall(false);
    vote.await.unwrap();
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let flushes = disk.flushes.load(Ordering::SeqCst) - flushes;
    assert!(flushes <= 4, "{flushes} flushes for 500 appends and a vote");
}

#[tokio::test]
async fn a_hole_in_the_log_or_a_record_from_elsewhere_stops_the_opening() {
    let disk = Arc::new(Disk::default());
    let mut log = open(&disk);
    for index in 0..5 {
        append(&mut log, index).await.unwrap().await.unwrap().unwrap();
    }
    drop(log);
    let refusal = |disk: &Arc<Disk>| try_open(disk).err().unwrap_or_default();
    assert_eq!(refusal(&disk), "");
    let third = disk.entries.lock().remove(&3).unwrap();
    assert!(refusal(&disk).contains("lacks entry 3: it goes on with entry 4"), "{}", refusal(&disk));
    let fourth = disk.entries.lock().get(&4).cloned().unwrap();
    disk.entries.lock().insert(3, fourth);
    assert!(refusal(&disk).starts_with("entry 3: the record does not fit"), "{}", refusal(&disk));
    disk.entries.lock().insert(3, third);
    assert_eq!(refusal(&disk), "");
}

/// sled takes a damaged record for the end of the log: what recovers is sound in itself, and less than was promised.
#[tokio::test]
async fn a_log_that_recovers_to_less_than_was_promised_stops_the_opening() {
    let disk = Arc::new(Disk::default());
    let mut log = open(&disk);
    log.save_vote(&Vote::new(1, 1)).await.unwrap();
    let old_vote = disk.named.lock().get("vote").cloned().unwrap();
    log.save_vote(&Vote::new(3, 1)).await.unwrap();
    for index in 0..5 {
        append(&mut log, index).await.unwrap().await.unwrap().unwrap();
    }
    // Shortened on purpose, it is whole at every moment.
    log.truncate_after(Some(entry(3).log_id)).await.unwrap();
    append(&mut log, 4).await.unwrap().await.unwrap().unwrap();
    log.truncate_after(Some(entry(2).log_id)).await.unwrap();
    let watch = log.watch();
    drop(log);
    until(|| watch.is_closed()).await;
    assert_eq!(try_open(&disk).err(), None);

    let third = disk.entries.lock().remove(&2).unwrap();
    let error = try_open(&disk).err().unwrap();
    assert!(error.contains("entries up to 2 were acknowledged, 2 are found"), "{error}");
    disk.entries.lock().insert(2, third);
    let vote = disk.named.lock().insert("vote".to_owned(), old_vote).unwrap();
    let error = try_open(&disk).err().unwrap();
    assert!(error.contains("vote") && error.contains("was given"), "{error}");
    disk.named.lock().insert("vote".to_owned(), vote);
    assert_eq!(try_open(&disk).err(), None);
    // An emptied log is no new one.
    disk.named.lock().clear();
    disk.entries.lock().clear();
    assert!(try_open(&disk).err().unwrap().contains("does not say whose it is"));
}

async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
