//! A Raft directory made without Raft: one voter, whose state is a given snapshot.
//!
//! Knows: what must lie on disk for a start to go on from there, and how it gets there whole or not at all.
//! Must not know: where the state comes from, or why the group begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use openraft::Membership;
use openraft::vote::RaftLeaderId;

use crate::api::Member;
use crate::config::RaftConfig;
use crate::error::SeedError;
use crate::log::{begin_log, on_disk};
use crate::snapshots::Snapshots;
use crate::types::{LogId, SnapshotMeta, StoredMembership, Types, Vote};

/// What a group of one begins with.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The only voter; its Raft id is the configuration's, and must be a fresh one.
    pub me: Member,
    /// The highest term of the group the state comes from; the new one begins above it.
    pub term: u64,
    /// The last entry the state covers; the log goes on after it.
    pub index: u64,
    /// The state as [`crate::Machine::snapshot`] encodes it.
    pub state: Vec<u8>,
}

/// A seeded directory, complete and on disk beside the place it is meant for. Dropped, it is only litter there, which
/// the next [`Seeded::prepare`] removes.
#[derive(Debug)]
pub struct Seeded {
    dir: PathBuf,
    place: PathBuf,
}

impl Seeded {
    /// Writes everything [`crate::RaftNode::start`] needs, but not yet where it looks for it.
    pub async fn prepare(config: &RaftConfig, seed: Seed) -> Result<Self, SeedError> {
        let place = config.dir.clone();
        let seeded = Self { dir: beside(&place, ".new"), place };
        let config = RaftConfig { dir: seeded.dir.clone(), ..config.clone() };
        on_disk(move || write(&config, seed)).await.map_err(|reason| seeded.failed(reason))?;
        Ok(seeded)
    }

    /// Where the directory lies for now: what the caller keeps beside Raft's files is put here before it is installed.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts the directory into its place, which must be empty or missing. A crash leaves it there whole or not at all.
    /// Blocks.
    pub fn install(self) -> Result<(), SeedError> {
        self.synced(|| match fs::rename(&self.dir, &self.place) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Err(io::Error::other(
                "a manager's files are there already; to begin anew from them, say so explicitly",
            )),
            result => result,
        })
    }

    /// Puts the directory into the place of the one that is there; a crash leaves the old or the new. The old one is
    /// kept beside it under the returned name, in place of any kept there before. Blocks.
    pub fn replace(self) -> Result<PathBuf, SeedError> {
        let kept = beside(&self.place, ".old");
        self.synced(|| {
            renameat2(
                AT_FDCWD,
                self.dir.as_path(),
                AT_FDCWD,
                self.place.as_path(),
                RenameFlags::RENAME_EXCHANGE,
            )?;
            sync(parent(&self.place))?;
            remove(&kept)?;
            fs::rename(&self.dir, &kept)
        })?;
        Ok(kept)
    }

    fn synced(&self, step: impl FnOnce() -> io::Result<()>) -> Result<(), SeedError> {
        let work = sync_tree(&self.dir).and_then(|()| step()).and_then(|()| sync(parent(&self.place)));
        work.map_err(|error| self.failed(error.to_string()))
    }

    fn failed(&self, reason: String) -> SeedError {
        SeedError { dir: self.place.display().to_string(), reason }
    }
}

fn write(config: &RaftConfig, seed: Seed) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    remove(&config.dir).map_err(failed)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.dir).map_err(failed)?;
    let term = seed.term.checked_add(1).ok_or("the old group's term is the last there is")?;
    let leader = openraft::alias::LeaderIdOf::<Types>::new(term, config.id).to_committed();
    let last = LogId::new(leader, seed.index);
    let voters = vec![BTreeSet::from([config.id])];
    let membership = Membership::new(voters, BTreeMap::from([(config.id, seed.me)]));
    let membership = StoredMembership::new(Some(last), membership.map_err(|e| e.to_string())?);
    let meta = SnapshotMeta { last_log_id: Some(last), last_membership: membership };
    let snapshots = Snapshots::open(config.snapshots_dir(), &config.key, config.cadence.clone())
        .map_err(|e| e.to_string())?;
    snapshots.save(&meta, &Bytes::from(seed.state)).map_err(|e| e.to_string())?;
    begin_log(config, last, Vote::new(term, config.id)).map_err(|e| e.to_string())
}

fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    dir.with_file_name(name)
}

fn parent(dir: &Path) -> &Path {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Every file and every name below `dir` is on disk before `dir` itself is moved.
fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_tree(&entry.path())?,
            false => sync(&entry.path())?,
        }
    }
    sync(dir)
}
