//! Whether there is room for more on the disk the log lies on, decided before the disk says so itself.
//!
//! Knows: free bytes and a reserve. Must not know: who asks, or what is refused then.
//!
//! A log that meets a full disk in the middle of a write has failed for good, and its manager with it. So nothing new
//! is taken once the reserve is touched: what is under way, a vote and a leader's first entry still fit.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::sys::statvfs::statvfs;

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
