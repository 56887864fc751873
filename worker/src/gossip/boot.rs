//! How often this node has begun to gossip. Keys are derived from it, so no number may come twice: it is on disk before the
//! first frame, and where the clock is ahead of it the clock says it. A state folder that was copied or put back from a
//! backup therefore does not begin the same boot again.

use crate::two_slots::TwoSlots;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far the clocks of two hosts may be apart. What was begun later than that from now is not believed.
pub(super) const AHEAD_S: u32 = 24 * 3600;

/// Seconds since the epoch, by this host's clock.
pub(super) fn now_s() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

/// The number of this boot. `now_s`: seconds since the epoch, by this host's clock.
pub(super) fn begin(path: PathBuf, now_s: u32) -> io::Result<u32> {
    let (mut file, contents) = match TwoSlots::load(path.clone()) {
        Ok(loaded) => loaded,
        // The clock alone has to do, as for a folder that was emptied.
        Err(e) if e.kind() == io::ErrorKind::InvalidData => (TwoSlots::new(path), None),
        Err(e) => return Err(e),
    };
    let last =
        contents.and_then(|bytes| <[u8; 4]>::try_from(bytes.as_slice()).ok()).map_or(0, u32::from_be_bytes);
    let boot =
        last.checked_add(1).ok_or_else(|| io::Error::other("no further boot can be counted"))?.max(now_s);
    file.write(&boot.to_be_bytes())?;
    Ok(boot)
}

#[cfg(test)]
mod tests {
    use super::begin;

    #[test]
    fn no_boot_comes_twice_whatever_the_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = || dir.path().join("boot");
        assert_eq!(begin(path(), 1_000).unwrap(), 1_000);
        assert_eq!(begin(path(), 1_000).unwrap(), 1_001, "in the same second");
        assert_eq!(begin(path(), 10).unwrap(), 1_002, "the clock went back");
        assert_eq!(begin(path(), 5_000).unwrap(), 5_000);
        std::fs::write(path(), b"damaged").unwrap();
        assert_eq!(begin(path(), 6_000).unwrap(), 6_000);
    }
}
