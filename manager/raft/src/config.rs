//! What a Raft node is started with. Knows: sizes and times, and their bounds. Must not know: how they are used.

use std::path::PathBuf;

use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::space::FreeSpace;

/// The 256-bit key that everything at rest of one manager is sealed with, and those that came before it while something
/// may still be sealed with them. Wiped from memory on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreKey {
    current: Zeroizing<[u8; 32]>,
    earlier: Vec<Zeroizing<[u8; 32]>>,
}

impl StoreKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { current: Zeroizing::new(bytes), earlier: Vec::new() }
    }

    /// From all of them, the current one first; `None` of none.
    pub fn from_ring(keys: &[[u8; 32]]) -> Option<Self> {
        let (current, earlier) = keys.split_first()?;
        let earlier = earlier.iter().copied().map(Zeroizing::new).collect();
        Some(Self { current: Zeroizing::new(*current), earlier })
    }

    /// All of them, the current one first.
    pub fn ring(&self) -> impl Iterator<Item = &[u8; 32]> {
        std::iter::once(&self.current).chain(&self.earlier).map(|key| &**key)
    }

    /// With `fresh` as the current one, and this as what came before.
    #[must_use]
    pub fn succeeded_by(&self, fresh: [u8; 32]) -> Self {
        let earlier = self.ring().copied().map(Zeroizing::new).collect();
        Self { current: Zeroizing::new(fresh), earlier }
    }

    /// Without those that came before.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self { current: self.current.clone(), earlier: Vec::new() }
    }

    pub fn is_alone(&self) -> bool {
        self.earlier.is_empty()
    }
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

/// Raft's clocks, in milliseconds. A lost leader is missed `election_max_ms` after its last sign of life, when its lease
/// on everybody's vote ends, and a random time between `election_min_ms` and `election_max_ms` more; then it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Also how long a heartbeat may go unanswered.
    pub heartbeat_ms: u64,
    pub election_min_ms: u64,
    pub election_max_ms: u64,
    /// How long a proposal, a read index or a membership step may take before its outcome counts as unknown.
    pub request_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat_ms: 60, election_min_ms: 250, election_max_ms: 400, request_ms: 4_000 }
    }
}

/// How often a snapshot is made, and what becomes of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// Entries between two snapshots.
    pub interval: u64,
    /// Older snapshot files kept beside the newest.
    pub keep: usize,
}

impl Default for Cadence {
    /// What holds until the cluster's settings are known: none is removed for now.
    fn default() -> Self {
        Self { interval: 10_000, keep: usize::MAX }
    }
}

impl Cadence {
    /// One that never changes.
    pub fn for_good(self) -> watch::Receiver<Self> {
        watch::Sender::new(self).subscribe()
    }
}

/// Everything a Raft node needs to start.
#[derive(Debug, Clone)]
pub struct RaftConfig {
    /// This manager's Raft id, chosen at random by whoever added it and never reused: a wiped manager is a new one.
    pub id: u64,
    /// The node's own directory, made if missing (0700): `log/` and `snapshots/` live below it.
    pub dir: PathBuf,
    pub key: StoreKey,
    pub timing: Timing,
    /// May change while the node runs.
    pub cadence: watch::Receiver<Cadence>,
    /// With less than this free on its disk (and room for two snapshots), a manager takes no changes; 0 for no reserve.
    pub reserve_bytes: u64,
    pub free_space: FreeSpace,
}

/// Lasts for the writes of two seconds and for what is needed to hand leadership over.
pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

impl RaftConfig {
    /// A configuration with the default times and the default cadence of snapshots.
    pub fn new(id: u64, dir: PathBuf, key: StoreKey) -> Self {
        Self {
            id,
            dir,
            key,
            timing: Timing::default(),
            cadence: Cadence::default().for_good(),
            reserve_bytes: RESERVE_BYTES,
            free_space: FreeSpace::default(),
        }
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(crate) fn mark_file(&self) -> PathBuf {
        self.dir.join("log.mark")
    }

    pub(crate) fn snapshots_dir(&self) -> PathBuf {
        self.dir.join("snapshots")
    }
}
