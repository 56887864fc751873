//! The journal in front of the storage engine: one file that never grows, where one write and one fdatasync make a whole
//! batch durable. The engine reaches the disk in its own time, and what it may lack after a crash is read here.
//!
//! Knows: frames, and where they end. Must not know: what they hold, or which engine they are for.
//!
//! A frame is its length (u32), the CRC-32 of all that follows (u32), the file's generation (u64), and the notes; all
//! numbers big-endian. Frames lie one after the other from the beginning of the file; the first one that is torn, or of
//! another generation, is the end. A generation is random: what is left of an earlier one can never be taken for this.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

const LENGTH: usize = 4;
const CHECKSUM: usize = 4;
const GENERATION: usize = 8;
const HEADER: usize = LENGTH + CHECKSUM + GENERATION;

/// The open journal, with the notes that are not on disk yet.
pub struct Journal {
    file: File,
    capacity: usize,
    generation: u64,
    /// Where the next frame goes.
    end: usize,
    /// The next frame: room for its header, then notes.
    frame: Vec<u8>,
}

impl Journal {
    /// Opens or makes the file; also the notes of each frame in it, oldest first. The file is written whole when it is
    /// made, `capacity` bytes, so that no later write changes anything about it but its content.
    pub fn open(path: &Path, capacity: usize) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let frames = match fs::read(path) {
            Ok(bytes) => frames(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let file =
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.metadata()?.len() < capacity as u64 {
            file.write_all_at(&vec![0; capacity], 0)?;
            file.sync_all()?;
            path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())?;
        }
        let mut journal = Self { file, capacity, generation: 0, end: 0, frame: vec![0; HEADER] };
        journal.begin_anew()?;
        Ok((journal, frames))
    }

    /// Whether a note of so many bytes still has room.
    pub fn fits(&self, bytes: usize) -> bool {
        self.end + self.frame.len() + bytes <= self.capacity
    }

    /// Adds to the next frame what `write` appends to it.
    pub fn note(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.frame);
    }

    /// Returns once everything noted is on the disk itself.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.frame.len() == HEADER {
            return Ok(());
        }
        seal(&mut self.frame, self.generation)?;
        self.file.write_all_at(&self.frame, self.end as u64)?;
        self.file.sync_data()?;
        self.end += self.frame.len();
        self.frame.truncate(HEADER);
        Ok(())
    }

    /// Forgets all notes: the engine has them on disk. The next frame is the first; until then the earlier ones stay
    /// readable, so the engine must be none the worse for being told of them once more.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        let mut random = [0; GENERATION];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
        self.generation = u64::from_be_bytes(random);
        self.end = 0;
        self.frame.truncate(HEADER);
        Ok(())
    }

    /// As `begin_anew`, and nobody can read the earlier notes any more.
    pub fn forget(&mut self) -> io::Result<()> {
        self.begin_anew()?;
        self.file.write_all_at(&[0; HEADER], 0)?;
        self.file.sync_data()
    }
}

/// Fills in the header of a frame.
fn seal(frame: &mut [u8], generation: u64) -> io::Result<()> {
    let short = || io::Error::other("a frame without a header");
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    let (head, body) = frame.split_at_mut_checked(LENGTH + CHECKSUM).ok_or_else(short)?;
    body.get_mut(..GENERATION).ok_or_else(short)?.copy_from_slice(&generation.to_be_bytes());
    let checksum = checksum(length, body);
    let (first, second) = head.split_at_mut(LENGTH);
    first.copy_from_slice(&length.to_be_bytes());
    second.copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

fn checksum(length: u32, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(length);
    crc.update(body);
    crc.finalize()
}

/// The notes of every whole frame of the generation that the file begins with.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut first = None;
    while let Some((generation, notes, rest)) = split(bytes) {
        if *first.get_or_insert(generation) != generation {
            break;
        }
        found.push(notes.to_vec());
        bytes = rest;
    }
    found
}

/// A frame's generation and notes, and what follows it.
fn split(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (length, after) = bytes.split_first_chunk::<LENGTH>()?;
    let length = u32::from_be_bytes(*length);
    let (expected, after) = after.split_first_chunk::<CHECKSUM>()?;
    let body = usize::try_from(length).ok()?.checked_sub(LENGTH + CHECKSUM)?;
    let (body, rest) = after.split_at_checked(body)?;
    let (generation, notes) = body.split_first_chunk::<GENERATION>()?;
    let whole = checksum(length, body) == u32::from_be_bytes(*expected);
    whole.then_some((u64::from_be_bytes(*generation), notes, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPACITY: usize = 1 << 20;

    fn note(journal: &mut Journal, bytes: &[u8]) {
        journal.note(|frame| frame.extend_from_slice(bytes));
    }

    fn left(path: &Path) -> Vec<Vec<u8>> {
        frames(&fs::read(path).unwrap())
    }

    #[test]
    fn frames_come_back_in_order_and_what_was_not_synced_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, found) = Journal::open(&path, CAPACITY).unwrap();
        assert!(found.is_empty());
        for notes in [["one", "two"], ["three", "four"]] {
            notes.iter().for_each(|text| note(&mut journal, text.as_bytes()));
            journal.sync().unwrap();
        }
        note(&mut journal, b"five");
        drop(journal);
        assert_eq!(Journal::open(&path, CAPACITY).unwrap().1, [b"onetwo".to_vec(), b"threefour".to_vec()]);
    }

    /// Every byte of the file may be what a power cut leaves half written.
    #[test]
    fn a_torn_frame_is_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, CAPACITY).unwrap();
        for text in ["first", "second"] {
            note(&mut journal, text.as_bytes());
            journal.sync().unwrap();
        }
        let whole = fs::read(&path).unwrap();
        let first = HEADER + "first".len();
        for at in 0..first + HEADER + "second".len() {
            let mut torn = whole.clone();
            torn[at] ^= 0x10;
            let expected: &[Vec<u8>] = if at < first { &[] } else { &[b"first".to_vec()] };
            assert_eq!(frames(&torn), expected, "byte {at}");
        }
    }

    #[test]
    fn an_earlier_generation_ends_where_the_new_one_begins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, CAPACITY).unwrap();
        for text in ["aa", "bb", "cc"] {
            note(&mut journal, text.as_bytes());
            journal.sync().unwrap();
        }
        journal.begin_anew().unwrap();
        assert_eq!(left(&path).len(), 3, "until something new is there");
        note(&mut journal, b"dd");
        journal.sync().unwrap();
        assert_eq!(left(&path), [b"dd".to_vec()]);
        journal.forget().unwrap();
        assert!(left(&path).is_empty());
    }

    #[test]
    fn a_full_journal_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(&dir.path().join("journal"), CAPACITY).unwrap();
        let mut frames = 0;
        while journal.fits(100_000) {
            note(&mut journal, &[7; 100_000]);
            journal.sync().unwrap();
            frames += 1;
        }
        assert_eq!(frames, CAPACITY / (100_000 + HEADER));
        assert_eq!(fs::metadata(dir.path().join("journal")).unwrap().len(), CAPACITY as u64);
    }

    proptest! {
        #[test]
        fn garbage_is_no_frame(bytes: Vec<u8>) {
            prop_assert!(frames(&bytes).is_empty());
        }
    }
}
