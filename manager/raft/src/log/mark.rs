//! What this manager has promised, kept outside the log: a log that recovers to less has been damaged.
//!
//! Knows: two sectors of one file. Must not know: how the log stores what was promised.
//!
//! sled takes a record that fails its checksum for the end of the log. A flipped bit can so undo a vote or an
//! acknowledged entry without a word, and a manager that forgot a promise must neither vote nor serve. The mark is
//! written after each flush and before anybody is told, but not synced: after a kill it is exact; after a power cut it
//! may be older, never newer, than the log. Only when the log is shortened on purpose it goes first, and is synced.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::recover::{LogError, Recovered};
use crate::types::{LogId, Vote, next_index};
use crate::vault::Vault;

/// A sector is written whole or not at all; two in turn keep the earlier mark if not.
const SECTOR: usize = 512;
const PLACE: &[u8] = b"mark";

/// A vote given and the end of the log acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    pub vote: Option<Vote>,
    pub last: Option<LogId>,
}

#[derive(Serialize, Deserialize)]
struct Sector {
    sequence: u64,
    promise: Promise,
}

/// The open file of the mark.
pub struct Mark {
    file: File,
    sequence: u64,
}

impl Mark {
    /// Makes the file of a new log, so that from now on its absence means damage.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file =
            File::options().write(true).read(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all_at(&[0; 2 * SECTOR], 0)?;
        file.sync_all()?;
        if let Some(parent) = path.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { file, sequence: 0 })
    }

    /// Opens the file of a log that exists and reads the newest promise in it.
    pub fn open(path: &Path, vault: &Vault) -> Result<(Self, Promise), LogError> {
        let bytes = fs::read(path).map_err(io_error("reading the log's mark"))?;
        let file = File::options().write(true).open(path).map_err(io_error("opening the log's mark"))?;
        let sectors: Vec<&[u8]> =
            bytes.chunks(SECTOR).filter(|sector| sector.iter().any(|byte| *byte != 0)).collect();
        let newest =
            sectors.iter().filter_map(|sector| decode(sector, vault)).max_by_key(|sector| sector.sequence);
        match newest {
            Some(Sector { sequence, promise }) => Ok((Self { file, sequence }, promise)),
            None if sectors.is_empty() => Ok((Self { file, sequence: 0 }, Promise::default())),
            None => Err(LogError::Mark("it cannot be read".to_owned())),
        }
    }

    pub fn write(&mut self, promise: &Promise, vault: &Vault) -> Result<(), LogError> {
        self.sequence += 1;
        let bytes = encode(&Sector { sequence: self.sequence, promise: *promise }, vault)?;
        let at = (self.sequence % 2) * SECTOR as u64;
        Ok(self.file.write_all_at(&bytes, at).map_err(io_error("writing the log's mark"))?)
    }

    pub fn sync(&self) -> Result<(), LogError> {
        Ok(self.file.sync_data().map_err(io_error("syncing the log's mark"))?)
    }
}

/// Whether a recovered log keeps what was promised.
pub fn check(
    promise: &Promise,
    found: &Recovered,
    term_at: impl Fn(u64) -> Option<u64>,
) -> Result<(), LogError> {
    let broken = |what: String| Err(LogError::Mark(what));
    if let Some(vote) = promise.vote
        && found.vote.partial_cmp(&Some(vote)).is_none_or(|order| order.is_lt())
    {
        return broken(format!(
            "vote {vote} was given, {:?} is found",
            found.vote.map(|vote| vote.to_string())
        ));
    }
    let Some(last) = promise.last else { return Ok(()) };
    if next_index(&found.last) <= last.index {
        return broken(format!(
            "entries up to {} were acknowledged, {} are found",
            last.index,
            next_index(&found.last)
        ));
    }
    let term = last.committed_leader_id().term;
    match term_at(last.index) {
        Some(found) if found != term => {
            broken(format!("entry {} was acknowledged for term {term}, and is of term {found}", last.index))
        }
        _ => Ok(()),
    }
}

fn encode(sector: &Sector, vault: &Vault) -> Result<[u8; SECTOR], LogError> {
    let plain = rmp_serde::to_vec_named(sector).map_err(|e| LogError::Mark(e.to_string()))?;
    let sealed = vault.seal(PLACE, &plain).map_err(|e| LogError::Mark(e.to_string()))?;
    let mut bytes = [0; SECTOR];
    let (length, rest) = bytes.split_at_mut(2);
    let room =
        rest.get_mut(..sealed.len()).ok_or_else(|| LogError::Mark("it outgrew its sector".to_owned()))?;
    room.copy_from_slice(&sealed);
    length.copy_from_slice(&(sealed.len() as u16).to_be_bytes());
    Ok(bytes)
}

fn decode(sector: &[u8], vault: &Vault) -> Option<Sector> {
    let (length, rest) = sector.split_first_chunk::<2>()?;
    let plain = vault.open(PLACE, rest.get(..usize::from(u16::from_be_bytes(*length)))?).ok()?;
    rmp_serde::from_slice(&plain).ok()
}

fn io_error(action: &'static str) -> impl Fn(io::Error) -> super::EngineError {
    move |source| super::EngineError::Io { action, source }
}

#[cfg(test)]
mod tests {
    use openraft::vote::RaftLeaderId;

    use super::*;
    use crate::config::StoreKey;
    use crate::types::Types;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(openraft::alias::LeaderIdOf::<Types>::new(term, 1).to_committed(), index)
    }

    fn found(vote: Vote, last: LogId) -> Recovered {
        Recovered { vote: Some(vote), committed: None, purged: None, last: Some(last) }
    }

    #[test]
    fn the_newest_whole_sector_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let vault = Vault::new(&StoreKey::new([1; 32])).unwrap();
        let mut mark = Mark::create(&path).unwrap();
        assert_eq!(Mark::open(&path, &vault).unwrap().1, Promise::default());
        for index in 1..=5 {
            let promise = Promise { vote: Some(Vote::new(7, 1)), last: Some(id(7, index)) };
            mark.write(&promise, &vault).unwrap();
            assert_eq!(Mark::open(&path, &vault).unwrap().1, promise);
        }
        // The fifth lies in the second sector; torn, the fourth stands.
        let mut bytes = fs::read(&path).unwrap();
        bytes[SECTOR + 60] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(Mark::open(&path, &vault).unwrap().1.last, Some(id(7, 4)));
        bytes[60] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(Mark::open(&path, &vault), Err(LogError::Mark(_))));
    }

    #[test]
    fn a_log_that_forgot_something_is_seen() {
        let promise = Promise { vote: Some(Vote::new(7, 1)), last: Some(id(7, 40)) };
        let sound = |vote, last, term| check(&promise, &found(vote, last), |_| term).is_ok();
        assert!(sound(Vote::new(7, 1), id(7, 40), Some(7)));
        assert!(sound(Vote::new_committed(7, 1), id(9, 80), Some(7)));
        assert!(sound(Vote::new(8, 2), id(9, 80), None), "purged since");
        assert!(!sound(Vote::new(6, 1), id(7, 40), Some(7)), "an older vote");
        assert!(!sound(Vote::new(7, 2), id(7, 40), Some(7)), "another vote in the same term");
        assert!(!sound(Vote::new(7, 1), id(7, 39), Some(7)), "an entry less");
        assert!(!sound(Vote::new(7, 1), id(7, 40), Some(6)), "another entry in its place");
        assert!(check(&Promise::default(), &found(Vote::new(1, 1), id(1, 0)), |_| None).is_ok());
    }
}
