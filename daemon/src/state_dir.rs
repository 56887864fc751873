//! What this host remembers of itself between two starts: `node.json` once it is a member, `join.json` while it
//! waits to become one, and where everything else lies. Written so that a crash leaves the old file or the new; a host without
//! either is outside any cluster and starts clean, if what else is there is marked as unfinished.

use crate::lock::{Held, Keys, UnlockError, is_locked, key_file};
use crate::member::{Member, PendingJoin};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swarm_identity::{NodeIdentity, StoreError, UnlockKey};
use swarm_manager::{StoreKey, followed};

/// There while a host is on its way to become a member, or to be none.
const UNFINISHED: &str = "unfinished";

/// The state folder, as far as the daemon itself owns it.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf, Arc<Keys>);

impl StateDir {
    pub fn new(dir: &Path) -> Self {
        Self(dir.to_path_buf(), Arc::default())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn certificates(&self) -> PathBuf {
        self.0.join("certificates")
    }

    pub fn raft(&self) -> PathBuf {
        self.0.join("raft")
    }

    pub fn worker(&self) -> PathBuf {
        self.0.join("worker")
    }

    /// # Errors
    /// The file is there and cannot be read or understood: nothing is guessed, the daemon must not start.
    pub fn member(&self) -> io::Result<Option<Member>> {
        read(&self.0.join("node.json"))
    }

    pub fn pending(&self) -> io::Result<Option<PendingJoin>> {
        read(&self.0.join("join.json"))
    }

    /// From here on this host is a member.
    pub fn set_member(&self, member: &Member) -> io::Result<()> {
        write(&self.0, "node.json", member)?;
        remove(&self.0.join("join.json"))?;
        remove(&self.unfinished())
    }

    /// What is written from here on belongs to no member yet: should this host be stopped before it is one, it goes.
    pub fn begin(&self) -> io::Result<()> {
        write_bytes(&self.0, UNFINISHED, b"")
    }

    fn unfinished(&self) -> PathBuf {
        self.0.join(UNFINISHED)
    }

    /// What only a member has, and nobody was about to make or remove: the first such name.
    pub fn orphaned(&self) -> io::Result<Option<PathBuf>> {
        if self.unfinished().try_exists()? {
            return Ok(None);
        }
        let of_members = [self.raft(), key_file(&self.0), self.certificates()];
        Ok(of_members.into_iter().find(|path| path.exists()))
    }

    pub fn set_pending(&self, join: &PendingJoin) -> io::Result<()> {
        write(&self.0, "join.json", join)
    }

    /// What this process holds of this host's keys.
    pub fn keys(&self) -> &Keys {
        &self.1
    }

    /// Whether the keys can be read only with the unlock key, and have not been.
    pub fn is_locked(&self) -> io::Result<bool> {
        Ok(self.keys().held().is_none() && is_locked(&key_file(&self.0))?)
    }

    pub fn unlock(&self, key: UnlockKey) -> Result<(), UnlockError> {
        self.keys().unlock(&key_file(&self.0), key)
    }

    /// From here on these are the keys of what this host keeps sealed.
    pub fn set_keys(&self, held: Held) -> io::Result<()> {
        self.keys().replace(held, |bytes| write_bytes(&self.0, "raft.key", bytes))
    }

    /// The identity that is kept here, its key open.
    pub fn identity(&self) -> Result<Option<NodeIdentity>, StoreError> {
        NodeIdentity::load_covered(&self.certificates(), &self.keys().cover())
    }

    pub fn set_identity(&self, identity: &NodeIdentity) -> Result<(), StoreError> {
        identity.store_covered(&self.certificates(), &self.keys().cover())
    }

    /// This host will be no manager: what it keeps lies open, as it does on every worker.
    pub fn take_off_the_lock(&self) -> io::Result<()> {
        let Some(held) = self.keys().held().filter(|held| held.unlock.is_some()) else { return Ok(()) };
        if let Some(identity) = self.identity().map_err(io::Error::other)? {
            identity.store(&self.certificates()).map_err(io::Error::other)?;
        }
        self.set_keys(Held { unlock: None, ..held })
    }

    /// The key everything of Raft at rest is sealed with: made at first use, 0600, erased with the rest.
    pub fn raft_key(&self) -> io::Result<StoreKey> {
        self.keys().load(&key_file(&self.0), |bytes| write_bytes(&self.0, "raft.key", bytes))
    }

    /// What is kept of a Raft that the cluster has gone on without.
    pub fn old_raft(&self) -> PathBuf {
        self.0.join("raft.old")
    }

    /// Raft's folder, and what a recovery keeps of an older one or was making when it was cut short. The folder itself last:
    /// while it is there, what is to go has not gone.
    fn raft_dirs(&self) -> [PathBuf; 3] {
        [self.old_raft(), self.0.join("raft.new"), self.raft()]
    }

    /// This host is no manager, or comes back as a new one. Of a Raft that the cluster has gone on without, what only this
    /// host may know is kept beside, with its key; of any other, and of what was kept before, nothing is left. Asked again
    /// after a crash, it goes on.
    pub fn end_raft(&self) -> io::Result<()> {
        if followed(&self.raft()).is_some() {
            remove_dir(&self.old_raft())?;
            std::fs::rename(self.raft(), self.old_raft())?;
        }
        if !self.raft().try_exists()? && followed(&self.old_raft()).is_some() {
            remove_dir(&self.0.join("raft.new"))?;
            return sync(&self.0);
        }
        // The key first: what it sealed is worth nothing from then on, also if the rest is cut short.
        self.forget_keys()?;
        self.raft_dirs().iter().try_for_each(|dir| remove_dir(dir))?;
        sync(&self.0)
    }

    fn forget_keys(&self) -> io::Result<()> {
        self.keys().forget();
        remove(&key_file(&self.0))
    }

    /// From here on this host is outside any cluster. `node.json` goes first: what follows may be cut short.
    pub fn forget(&self) -> io::Result<()> {
        self.begin()?;
        remove(&self.0.join("node.json"))?;
        remove(&self.0.join("join.json"))?;
        sync(&self.0)?;
        self.forget_keys()?;
        for name in ["node.json.new", "join.json.new", "raft.key.new"] {
            remove(&self.0.join(name))?;
        }
        NodeIdentity::erase(&self.certificates()).map_err(io::Error::other)?;
        self.raft_dirs().iter().chain([&self.worker()]).try_for_each(|dir| remove_dir(dir))?;
        sync(&self.0)?;
        remove(&self.unfinished())?;
        sync(&self.0)
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> io::Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
    };
    serde_json::from_slice(&text).map(Some).map_err(|e| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {e}", path.display()))
    })
}

fn write<T: Serialize>(dir: &Path, name: &str, content: &T) -> io::Result<()> {
    write_bytes(dir, name, &serde_json::to_vec_pretty(content)?)
}

/// Temporary file, fsync, rename, fsync of the folder.
fn write_bytes(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, dir.join(name))?;
    sync(dir)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn remove_dir(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::tests::member;

    #[test]
    fn a_member_is_remembered_and_forgotten_whole() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        assert_eq!(state.member().unwrap(), None);
        state.set_member(&member()).unwrap();
        assert_eq!(state.member().unwrap(), Some(member()));
        std::fs::create_dir_all(state.raft()).unwrap();
        std::fs::write(state.raft().join("x"), "x").unwrap();
        state.forget().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_member_left_without_its_node_json_is_not_taken_for_a_broken_join() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        assert_eq!(state.orphaned().unwrap(), None);
        state.begin().unwrap();
        state.raft_key().unwrap();
        assert_eq!(state.orphaned().unwrap(), None);
        state.set_member(&member()).unwrap();
        std::fs::remove_file(dir.path().join("node.json")).unwrap();
        assert_eq!(state.orphaned().unwrap(), Some(dir.path().join("raft.key")));
        state.forget().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_of_raft_is_left_when_it_ends_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        state.raft_key().unwrap();
        for raft in [state.raft(), state.old_raft()] {
            std::fs::create_dir_all(&raft).unwrap();
            std::fs::write(raft.join("log"), "x").unwrap();
        }
        state.end_raft().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        state.end_raft().unwrap();
    }

    #[test]
    fn a_damaged_file_is_an_error_not_a_fresh_start() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("node.json"), "{").unwrap();
        let error = StateDir::new(dir.path()).member().unwrap_err().to_string();
        assert!(error.contains("node.json is damaged"), "{error}");
    }
}
