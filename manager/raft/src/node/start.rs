//! Bringing a Raft node up: store, snapshots, openraft, and the task that reports its status.
//!
//! Knows: the order of things and openraft's configuration. Must not know: what happens afterwards.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use openraft::errors::Fatal;
use openraft::storage::RaftLogStorage;
use openraft::{Config, SnapshotPolicy};
use tokio::sync::{Mutex, watch};

use super::distance::Clocks;
use super::reads::Rounds;
use super::report::Reporter;
use super::{Inner, RaftNode, cadence, distance, room};
use crate::api::{Dial, Machine};
use crate::apply::Applier;
use crate::config::{RaftConfig, Timing};
use crate::error::StartError;
use crate::log::{DiskEngine, LogStore, on_disk};
use crate::snapshots::Snapshots;
use crate::types::{Raft, Types};
use crate::wire::{Links, Network};

/// Entries sent to another manager at a time, in number; their bytes are bounded by the log.
const ENTRIES_PER_MESSAGE: u64 = 512;
/// How long a pipelined append may go unanswered; a slow disk takes its time.
const MIN_STALL: Duration = Duration::from_secs(3);

pub async fn start(
    mut config: RaftConfig,
    machine: Box<dyn Machine>,
    dial: Arc<dyn Dial>,
) -> Result<RaftNode, StartError> {
    let clocks = Clocks { given: config.timing, dir: config.dir.clone() };
    config.timing = clocks.at_start();
    let raft_config = raft_config(&config)?;
    let (mut log, snapshots) = open_store(config.clone()).await?;
    let watch_log = log.watch();
    let found = log.get_log_state().await.map_err(|error| StartError::Raft(error.to_string()))?;
    let (progress, applied) = watch::channel(0);
    let (filling, full) = watch::channel(false);
    let snapshots = Arc::new(snapshots);
    let applier = Applier::new(machine, snapshots.clone(), progress, full.clone());
    let stall = MIN_STALL.max(Duration::from_millis(config.timing.election_max_ms * 5));
    let links = Links::new(dial);
    let network = Network::new(config.id, stall, links.clone());
    let raft = Raft::new(config.id, Arc::new(raft_config), network, log, applier)
        .await
        .map_err(|fatal| StartError::Raft(fatal.to_string()))?;
    elect_alone(&raft, config.id).await?;
    cadence::keep(&raft, config.cadence.clone());
    let suitable = distance::measure(&raft, links.clone(), clocks);
    let reporter = Reporter { timing: config.timing, log: watch_log.clone(), links };
    let status = reporter.run(&raft, applied.clone());
    let inner = Arc::new(Inner {
        id: config.id,
        timing: config.timing,
        raft,
        applied,
        status,
        log: watch_log,
        snapshots,
        found: found.last_log_id.map(|id| id.index),
        recovered: AtomicBool::new(false),
        suitable,
        full,
        reads: Rounds::default(),
        changing: Mutex::new(()),
        closing: Mutex::new(()),
    });
    room::watch(&inner, filling, config);
    Ok(RaftNode { inner })
}

fn raft_config(config: &RaftConfig) -> Result<Config, StartError> {
    let Timing { heartbeat_ms, election_min_ms, election_max_ms, .. } = config.timing;
    let raft = Config {
        cluster_name: "swarm".to_owned(),
        heartbeat_interval: heartbeat_ms,
        election_timeout_min: election_min_ms,
        election_timeout_max: election_max_ms,
        install_snapshot_timeout: 60_000,
        max_payload_entries: ENTRIES_PER_MESSAGE,
        // Both are asked for by `cadence`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        api_channel_size: Some(4096),
        notification_channel_size: Some(4096),
        enable_pre_vote: Some(true),
        // A leader without a majority falls silent, so that those who hear only it can elect another.
        quorum_loss_probe_interval: Some(election_max_ms * 2),
        // A restarted leader asks again: it may have applied more than its snapshot and noted commits say.
        enable_leader_restore: Some(false),
        backoff: "20ms 40ms 80ms ...500ms".to_owned(),
        ..Config::default()
    };
    raft.validate().map_err(|error| StartError::Config(format!("Raft's times do not fit together: {error}")))
}

async fn open_store(config: RaftConfig) -> Result<(LogStore, Snapshots), StartError> {
    let dir = config.dir.display().to_string();
    on_disk(move || open_blocking(&config)).await.map_err(|reason| StartError::Store { dir, reason })
}

fn open_blocking(config: &RaftConfig) -> Result<(LogStore, Snapshots), String> {
    make_private(&config.dir).map_err(|error| error.to_string())?;
    let engine = DiskEngine::on_sled(&config.log_dir()).map_err(|error| error.to_string())?;
    let log = LogStore::open(Box::new(engine), &config.mark_file(), &config.key, config.id)
        .map_err(|error| error.to_string())?;
    let snapshots = Snapshots::open(config.snapshots_dir(), &config.key, config.cadence.clone());
    Ok((log, snapshots.map_err(|error| error.to_string())?))
}

/// Makes the folder if it is missing, so that its name too survives a power cut.
fn make_private(dir: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    dir.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}

/// A group of one need not wait for an election timeout: nobody else can lead.
async fn elect_alone(raft: &Raft, id: u64) -> Result<(), StartError> {
    let stopped = |fatal: Fatal<Types>| StartError::Raft(fatal.to_string());
    // Asked of Raft itself: its metrics may still be empty.
    let alone = raft.with_raft_state(move |state| state.membership_state.effective().voter_ids().eq([id]));
    if alone.await.map_err(stopped)? {
        raft.trigger().elect(false).await.map_err(stopped)?;
    }
    Ok(())
}
