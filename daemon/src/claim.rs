//! The two folders a daemon owns, and the proof that no other daemon does: an advisory lock on a file in each.
//! The kernel drops the lock with the process, so a killed daemon never leaves its successor locked out.

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Held for the life of the process.
pub struct Claim {
    _locks: [Flock<File>; 2],
}

impl Claim {
    /// Makes the folders where they are missing (state 0700, run 0755) and locks both.
    ///
    /// # Errors
    /// Another daemon holds one of them, or a folder cannot be made.
    pub fn take(state_dir: &Path, run_dir: &Path) -> anyhow::Result<Self> {
        make(state_dir, 0o700)?;
        std::fs::set_permissions(state_dir, Permissions::from_mode(0o700))
            .with_context(|| format!("cannot close {} to others", state_dir.display()))?;
        make(run_dir, 0o755)?;
        Ok(Self { _locks: [lock(state_dir, "state")?, lock(run_dir, "run-time")?] })
    }
}

fn make(dir: &Path, mode: u32) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))
}

fn lock(dir: &Path, what: &str) -> anyhow::Result<Flock<File>> {
    let path = dir.join("swarmd.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
            bail!("the {what} folder {} is in use by another swarmd: give this one its own", dir.display())
        }
        Err((_, errno)) => bail!("cannot lock {}: {errno}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (state, one, two) = (dir.path().join("s"), dir.path().join("r1"), dir.path().join("r2"));
        let first = Claim::take(&state, &one).unwrap();
        let refusal = Claim::take(&state, &two).err().unwrap().to_string();
        assert!(refusal.contains("in use by another swarmd"), "{refusal}");
        drop(first);
        Claim::take(&state, &two).unwrap();
        assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
