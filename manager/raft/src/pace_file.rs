//! The measured distance of the managers, kept beside the log for the next start.
//!
//! Knows: one small file that may be missing or damaged; then nothing is known. Must not know: what it is used for.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

const NAME: &str = "round-trip";

pub fn read(dir: &Path) -> Option<Duration> {
    let text = fs::read_to_string(dir.join(NAME)).ok()?;
    text.trim().strip_suffix(" us")?.parse().ok().map(Duration::from_micros)
}

/// Replaces what was known. Not synced: an older value, or none, does no harm. Blocks.
pub fn write(dir: &Path, round_trip: Duration) -> io::Result<()> {
    let temporary = dir.join(format!("{NAME}.new"));
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{} us", round_trip.as_micros())?;
    fs::rename(temporary, dir.join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_and_anything_else_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        write(dir.path(), Duration::from_micros(1_234)).unwrap();
        assert_eq!(read(dir.path()), Some(Duration::from_micros(1_234)));
        for damage in ["", "12", "-1 us", "x us", "99999999999999999999999 us"] {
            fs::write(dir.path().join(NAME), damage).unwrap();
            assert_eq!(read(dir.path()), None);
        }
    }
}
