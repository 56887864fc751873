//! Snapshots as files of their own: each whole, sealed, and named after the last entry it covers.
//!
//! Knows: files, their names and their order. Must not know: what the machine put into one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::config::{Cadence, StoreKey};
use crate::types::{LogId, Snapshot, SnapshotMeta};
use crate::vault::{Vault, VaultError};

const SUFFIX: &str = ".snapshot";
const TEMPORARY: &str = "incoming.tmp";

/// Why a snapshot could not be written or read. The manager stops: without its snapshot its log begins nowhere.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the snapshot {}: {source}", path.display())]
    Sealed { path: PathBuf, source: VaultError },
    #[error("the snapshot {} cannot be decoded by this version: {reason}", path.display())]
    Undecodable { path: PathBuf, reason: String },
}

impl From<SnapshotError> for io::Error {
    fn from(error: SnapshotError) -> Self {
        io::Error::other(error.to_string())
    }
}

/// The folder of one manager's snapshots.
pub struct Snapshots {
    dir: PathBuf,
    vault: Vault,
    cadence: watch::Receiver<Cadence>,
    /// Held while a file is written: all are written under one temporary name.
    writing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    meta: SnapshotMeta,
    #[serde(with = "raw_bytes")]
    machine: Bytes,
}

impl Snapshots {
    /// Opens or makes the folder and removes what an interrupted write left there.
    pub fn open(
        dir: PathBuf,
        key: &StoreKey,
        cadence: watch::Receiver<Cadence>,
    ) -> Result<Self, SnapshotError> {
        let vault = Vault::new(key).map_err(|source| SnapshotError::Sealed { path: dir.clone(), source })?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(at("cannot make", &dir))?;
        // The log is purged once a snapshot is safe; a snapshot in a folder whose name is lost is not.
        let parent = dir.parent().unwrap_or(&dir);
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(at("cannot sync", parent))?;
        let temporary = dir.join(TEMPORARY);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(at("cannot remove", &temporary)(error))
            }
            _ => Ok(Self { dir, vault, cadence, writing: Mutex::new(()) }),
        }
    }

    /// Writes a snapshot so that after a crash it is there whole or not at all, then removes the oldest. Blocks.
    pub fn save(&self, meta: &SnapshotMeta, machine: &Bytes) -> Result<(), SnapshotError> {
        let path = self.dir.join(name(meta.last_log_id.as_ref()));
        let content = Content { meta: meta.clone(), machine: machine.clone() };
        let plain = rmp_serde::to_vec_named(&content)
            .map_err(|e| SnapshotError::Undecodable { path: path.clone(), reason: e.to_string() })?;
        let _writing = self.writing.lock();
        self.write(&path, &plain)?;
        self.remove_old()
    }

    /// From here on `key` seals, and nothing is left that it did not seal. Blocks.
    pub fn change_key(&self, key: &StoreKey) -> Result<(), SnapshotError> {
        let _writing = self.writing.lock();
        self.vault.change(key).map_err(|source| SnapshotError::Sealed { path: self.dir.clone(), source })?;
        self.list()?.iter().try_for_each(|path| self.write(path, &self.read(path)?))
    }

    fn write(&self, path: &Path, plain: &[u8]) -> Result<(), SnapshotError> {
        let sealed = self.vault.seal(&place(path), plain);
        let sealed = sealed.map_err(|source| SnapshotError::Sealed { path: path.to_owned(), source })?;
        let temporary = self.dir.join(TEMPORARY);
        write_synced(&temporary, &sealed).map_err(at("cannot write", &temporary))?;
        fs::rename(&temporary, path).map_err(at("cannot rename a new file to", path))?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(at("cannot sync", &self.dir))
    }

    fn read(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, SnapshotError> {
        let sealed = fs::read(path).map_err(at("cannot read", path))?;
        let plain = self.vault.open(&place(path), &sealed);
        let plain = plain.map_err(|source| SnapshotError::Sealed { path: path.to_owned(), source })?;
        Ok(Zeroizing::new(plain))
    }

    /// The newest snapshot, or `None` before the first. Blocks.
    pub fn newest(&self) -> Result<Option<Snapshot>, SnapshotError> {
        let Some(path) = self.list()?.pop() else { return Ok(None) };
        let plain = self.read(&path)?;
        let content: Content = rmp_serde::from_slice(&plain)
            .map_err(|e| SnapshotError::Undecodable { path: path.clone(), reason: e.to_string() })?;
        Ok(Some(Snapshot { meta: content.meta, snapshot: content.machine }))
    }

    /// Whether the snapshot that ends at `last` is the newest on disk.
    pub fn is_newest(&self, last: Option<&LogId>) -> Result<bool, SnapshotError> {
        Ok(self.list()?.pop().is_some_and(|newest| newest == self.dir.join(name(last))))
    }

    /// All snapshots, oldest first.
    fn list(&self) -> Result<Vec<PathBuf>, SnapshotError> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(at("cannot list", &self.dir))? {
            let path = entry.map_err(at("cannot list", &self.dir))?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(SUFFIX)) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn remove_old(&self) -> Result<(), SnapshotError> {
        let mut paths = self.list()?;
        paths.truncate(paths.len().saturating_sub(self.cadence.borrow().keep.saturating_add(1)));
        paths.iter().try_for_each(|path| fs::remove_file(path).map_err(at("cannot remove", path)))
    }
}

/// Sorts by index and then term, the way log ids are ordered on one log.
fn name(last: Option<&LogId>) -> String {
    match last {
        Some(id) => format!("{:020}-{:020}{SUFFIX}", id.index + 1, id.committed_leader_id().term),
        None => format!("{:020}-{:020}{SUFFIX}", 0, 0),
    }
}

/// A snapshot is sealed for its name, so that an old one cannot pose as a new one.
fn place(path: &Path) -> Vec<u8> {
    let name = path.file_name().map(|name| name.as_encoded_bytes()).unwrap_or_default();
    [b"snapshot:".as_slice(), name].concat()
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> SnapshotError + 'a {
    move |source| SnapshotError::Io { action, path: path.to_owned(), source }
}

mod raw_bytes {
    //! Bytes as MessagePack bytes rather than as a list of numbers.
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::types::Command;

    pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        Command::deserialize(deserializer).map(|command| command.0)
    }
}

#[cfg(test)]
mod tests {
    use openraft::vote::RaftLeaderId;

    use super::*;
    use crate::types::Types;

    fn meta(term: u64, index: u64) -> SnapshotMeta {
        let leader = openraft::alias::LeaderIdOf::<Types>::new(term, 1).to_committed();
        SnapshotMeta { last_log_id: Some(LogId::new(leader, index)), last_membership: Default::default() }
    }

    fn keeping(keep: usize) -> watch::Receiver<Cadence> {
        Cadence { keep, ..Cadence::default() }.for_good()
    }

    fn open(dir: &Path, keep: usize) -> Snapshots {
        Snapshots::open(dir.to_owned(), &StoreKey::new([9; 32]), keeping(keep)).unwrap()
    }

    #[test]
    fn the_newest_is_read_back_and_only_so_many_older_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = open(dir.path(), 1);
        assert!(snapshots.newest().unwrap().is_none());
        for index in [5, 90, 1000] {
            snapshots.save(&meta(2, index), &Bytes::from(format!("state {index}"))).unwrap();
        }
        drop(snapshots);
        let snapshots = open(dir.path(), 1);
        let newest = snapshots.newest().unwrap().unwrap();
        assert_eq!((newest.meta, &newest.snapshot[..]), (meta(2, 1000), b"state 1000".as_slice()));
        assert!(snapshots.is_newest(meta(2, 1000).last_log_id.as_ref()).unwrap());
        assert_eq!(snapshots.list().unwrap().len(), 2);
    }

    #[test]
    fn after_a_change_of_the_key_only_the_new_one_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = open(dir.path(), 1);
        for index in [5, 90] {
            snapshots.save(&meta(2, index), &Bytes::from(format!("state {index}"))).unwrap();
        }
        let fresh = StoreKey::new([9; 32]).succeeded_by([8; 32]);
        snapshots.change_key(&fresh).unwrap();
        assert_eq!(snapshots.list().unwrap().len(), 2);
        for path in snapshots.list().unwrap() {
            let alone = Snapshots::open(dir.path().to_owned(), &fresh.alone(), keeping(1)).unwrap();
            assert!(alone.read(&path).is_ok() && open(dir.path(), 1).read(&path).is_err());
        }
        assert_eq!(&snapshots.newest().unwrap().unwrap().snapshot[..], b"state 90");
    }

    #[test]
    fn an_interrupted_write_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), 0).save(&meta(1, 1), &Bytes::from_static(b"whole")).unwrap();
        fs::write(dir.path().join(TEMPORARY), b"half").unwrap();
        let snapshots = open(dir.path(), 0);
        assert_eq!(&snapshots.newest().unwrap().unwrap().snapshot[..], b"whole");
        assert!(!dir.path().join(TEMPORARY).exists());
    }

    #[test]
    fn a_damaged_renamed_or_foreign_file_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = open(dir.path(), 5);
        snapshots.save(&meta(1, 1), &Bytes::from_static(b"state")).unwrap();
        let path = snapshots.list().unwrap().remove(0);
        let renamed = dir.path().join(name(meta(1, 2).last_log_id.as_ref()));
        fs::copy(&path, &renamed).unwrap();
        assert!(matches!(snapshots.newest(), Err(SnapshotError::Sealed { path, .. }) if path == renamed));
        fs::remove_file(renamed).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let message = snapshots.newest().unwrap_err().to_string();
        assert!(message.contains("00002-") && message.contains("does not fit the storage key"), "{message}");
    }
}
