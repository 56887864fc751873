//! The Raft id of this manager's present life, kept beside its log.
//! Knows: one small file. Must not know: Raft. Whoever loses the log loses the id with it, so that a wiped manager
//! never comes back as its old self.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use swarm_identity::random;

const NAME: &str = "member";

#[derive(Debug, thiserror::Error)]
pub enum MemberFileError {
    #[error("cannot use {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is damaged: expected a Raft id, a number above 0; leave with --force and join again", path.display())]
    Damaged { path: PathBuf },
}

/// The id on disk, or a new one that is on disk before this returns. Makes the directory if it is missing (0700).
pub fn load_or_make(dir: &Path) -> Result<u64, MemberFileError> {
    let path = dir.join(NAME);
    let failed = |source| MemberFileError::Io { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(id) if id > 0 => Ok(id),
            _ => Err(MemberFileError::Damaged { path }),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let id = fresh_id();
            write(dir, id).map_err(failed)?;
            Ok(id)
        }
        Err(e) => Err(failed(e)),
    }
}

/// The id of a directory that is being made.
pub fn write_id(dir: &Path, id: u64) -> Result<(), MemberFileError> {
    write(dir, id).map_err(|source| MemberFileError::Io { path: dir.join(NAME), source })
}

/// Never used before. 63 bits: an id stays a positive number wherever it is printed or stored.
pub fn fresh_id() -> u64 {
    (u64::from_be_bytes(random::bytes()) >> 1).max(1)
}

fn write(dir: &Path, id: u64) -> io::Result<()> {
    write_whole(dir, NAME, format!("{id}\n").as_bytes())
}

/// A small file beside Raft's: old or new at any moment, never half of it.
pub fn write_whole(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = dir.join(format!(".{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_kept_with_the_directory_and_lost_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let raft = dir.path().join("raft");
        let first = load_or_make(&raft).unwrap();
        assert_eq!(load_or_make(&raft).unwrap(), first);
        fs::remove_dir_all(&raft).unwrap();
        assert_ne!(load_or_make(&raft).unwrap(), first);
    }

    #[test]
    fn damage_is_not_guessed_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), "0\n").unwrap();
        assert!(matches!(load_or_make(dir.path()), Err(MemberFileError::Damaged { .. })));
    }
}
