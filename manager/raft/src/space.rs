//! Whether there is room for more on the disk the log lies on, decided before the disk says so itself.
//!
//! Knows: free bytes and a reserve. Must not know: who asks, or what is refused then.
//!
//! A log that meets a full disk in the middle of a write has failed for good, and its manager with it. So nothing new
//! is taken once the reserve is touched: what is under way, a vote and a leader's first entry still fit.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::statvfs::statvfs;

use crate::config::RESERVE_BYTES;

/// Asks a file system how many bytes it has left for this process.
type Ask = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

/// Where free space is looked up.
#[derive(Clone)]
pub struct FreeSpace(Arc<Ask>);

impl FreeSpace {
    /// Somewhere else than at the kernel.
    pub fn asking(ask: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub fn of(&self, path: &Path) -> io::Result<u64> {
        (self.0)(path)
    }
}

impl Default for FreeSpace {
    fn default() -> Self {
        Self::asking(|path| {
            let file_system = statvfs(path)?;
            Ok(file_system.blocks_available().saturating_mul(file_system.fragment_size()))
        })
    }
}

impl std::fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FreeSpace(…)")
    }
}

/// What must stay free: the reserve, and the next snapshot written beside the present one.
pub fn needed(reserve: u64, snapshot: u64) -> u64 {
    reserve.saturating_add(snapshot.saturating_mul(2))
}

/// Whether the disk counts as full. Once it does, half as much again must be free before it no longer does.
pub fn is_full(was_full: bool, free: u64, needed: u64) -> bool {
    free < if was_full { needed.saturating_add(needed / 2) } else { needed }
}

/// What a manager that begins with nothing writes at once: its log's files and its snapshot.
const BEGINNING: u64 = 4 * 1024 * 1024;

/// There is not enough room for a manager to begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is not enough room on the disk of {}: a manager needs {} MiB there to begin, and {} MiB are free",
    .dir.display(), mib(*.needed), .free / MIB
)]
pub struct NoRoom {
    pub dir: PathBuf,
    pub needed: u64,
    pub free: u64,
}

const MIB: u64 = 1024 * 1024;

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(MIB)
}

/// So much that the disk does not count as full afterwards, nor soon.
fn needed_to_begin(reserve: u64, state: u64) -> u64 {
    let needed = needed(reserve, state);
    needed.saturating_add(needed / 2).saturating_add(state).saturating_add(BEGINNING)
}

/// Whether a manager whose state has so many bytes could begin in `dir`, which need not be there yet. A file system that
/// does not say what it has left is not in the way.
pub fn room_to_begin(dir: &Path, state: u64) -> Result<(), NoRoom> {
    let needed = needed_to_begin(RESERVE_BYTES, state);
    let Some(free) = dir.ancestors().find_map(|there| FreeSpace::default().of(there).ok()) else {
        return Ok(());
    };
    if free < needed { Err(NoRoom { dir: dir.to_owned(), needed, free }) } else { Ok(()) }
}

/// Bytes of the largest file in a directory; a directory that cannot be read has none.
pub fn largest_file(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_kept_and_a_little_more_before_it_is_full_no_longer() {
        let needed = needed(64, 18);
        assert_eq!(needed, 100);
        assert!(!is_full(false, 100, needed) && is_full(false, 99, needed));
        assert!(is_full(true, 149, needed) && !is_full(true, 150, needed));
        assert!(!is_full(false, 0, 0) && !is_full(true, 0, 0), "without a reserve nothing is ever full");
        assert!(is_full(true, u64::MAX - 1, u64::MAX));
    }

    /// Found by a breaker: a restore onto a small disk said yes, and its manager could then change nothing.
    #[test]
    fn a_manager_that_begins_is_not_full_at_once() {
        for (reserve, state) in [(RESERVE_BYTES, 0), (RESERVE_BYTES, 90 << 20), (0, 7)] {
            let left = needed_to_begin(reserve, state) - state;
            assert!(!is_full(true, left, needed(reserve, state)), "{reserve} {state}");
        }
        let dir = tempfile::tempdir().unwrap();
        let refused = room_to_begin(&dir.path().join("not/there/yet"), u64::MAX / 8).unwrap_err();
        assert!(refused.needed > refused.free && refused.free > 0);
        let said = NoRoom { dir: "/state".into(), needed: (100 << 20) + 1, free: (3 << 20) - 1 }.to_string();
        assert!(
            said.contains("/state") && said.contains("needs 101 MiB") && said.contains("and 2 MiB are free"),
            "{said}"
        );
        assert_eq!(room_to_begin(dir.path(), 0), Ok(()));
    }

    #[test]
    fn the_kernel_is_asked_about_the_file_system_of_the_path() {
        let dir = tempfile::tempdir().unwrap();
        assert!(FreeSpace::default().of(dir.path()).unwrap() > 0);
        assert!(FreeSpace::default().of(&dir.path().join("missing")).is_err());
        fs::write(dir.path().join("a"), [0; 10]).unwrap();
        fs::write(dir.path().join("b"), [0; 30]).unwrap();
        assert_eq!((largest_file(dir.path()), largest_file(&dir.path().join("missing"))), (30, 0));
    }
}
