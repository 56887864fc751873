//! Files of which a crash leaves the old or the new contents, never neither. Knows: two slots written in turn, and that
//! one of them may be torn. Must not know: contents.
//!
//! Replacing a file costs a commit of the file system's journal for the file and one for its folder, and whoever waits
//! for it waits for everybody else's as well. Here the older of two slots is written over in place, which costs one
//! flush of the data and nothing else.

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A slot begins with this; the number is the form's.
const MAGIC: &[u8; 16] = b"swarmd 2 slots 1";
const NUMBER: usize = 8;
/// The magic, a number that counts up, the length of the contents, SHA-256 of these two and the contents.
const HEADER: usize = MAGIC.len() + 2 * NUMBER + SHA256_OUTPUT_LEN;
/// Slots begin at multiples of this, so that no block belongs to both.
const BLOCK: usize = 4096;

/// One file. One writer at a time.
pub(crate) struct TwoSlots {
    path: PathBuf,
    /// How long a slot is; 0: there is no file that can be used.
    slot: usize,
    /// The number of the newest contents, which also says in which slot they are.
    newest: u64,
}

impl TwoSlots {
    /// For a file that is to be written anew, whatever is there.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, slot: 0, newest: 0 }
    }

    /// The file and its newest whole contents; `None` when there is no file.
    pub(crate) fn load(path: PathBuf) -> io::Result<(Self, Option<Vec<u8>>)> {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Self::new(path), None)),
            Err(e) => return Err(e),
        };
        let slot = bytes.len() / 2;
        let (newest, contents) = newest(&bytes).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it is damaged, or of a form this version does not know",
            )
        })?;
        let contents = contents.to_vec();
        Ok((Self { path, slot, newest }, Some(contents)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the contents. When this returns, the new ones survive a power cut; on an error the old ones do.
    pub(crate) fn write(&mut self, contents: &[u8]) -> io::Result<()> {
        let image = image(self.newest + 1, contents);
        if image.len() > self.slot || !self.write_slot(&image)? {
            self.replace(contents)?;
        }
        self.newest += 1;
        Ok(())
    }

    /// Into the slot that does not hold the newest. False: the file is not there any more.
    fn write_slot(&self, image: &[u8]) -> io::Result<bool> {
        let file = match OpenOptions::new().write(true).open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        file.write_all_at(image, place(self.newest + 1, self.slot))?;
        file.sync_data()?;
        Ok(true)
    }

    /// A new file whose slots have room to grow. Both get the contents: all its blocks are written now, and neither slot
    /// has to be found by the file system later.
    fn replace(&mut self, contents: &[u8]) -> io::Result<()> {
        let number = self.newest + 1;
        let mut image = image(number, contents);
        let slot = (image.len() * 2).next_multiple_of(BLOCK);
        image.resize(slot, 0);
        replace_file(&self.path, &[image.as_slice(), image.as_slice()].concat())?;
        self.slot = slot;
        Ok(())
    }
}

/// Where the slot is that holds the contents of this number.
fn place(number: u64, slot: usize) -> u64 {
    (number % 2) * slot as u64
}

fn image(number: u64, contents: &[u8]) -> Vec<u8> {
    let (number, length) = (number.to_be_bytes(), (contents.len() as u64).to_be_bytes());
    [MAGIC.as_slice(), &number, &length, &sum(&number, &length, contents), contents].concat()
}

fn sum(number: &[u8], length: &[u8], contents: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    [number, length, contents].into_iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

/// The number and the contents of the newer of the two slots that are whole.
fn newest(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, second) = bytes.split_at_checked(bytes.len() / 2)?;
    let slots = [first, second].into_iter().filter(|_| bytes.len().is_multiple_of(2 * BLOCK));
    slots.filter_map(read).max_by_key(|(number, _)| *number)
}

/// For fuzzing: any bytes as such a file, and as the torn slot beside a whole one.
///
/// # Panics
/// What was written is not read.
#[doc(hidden)]
pub fn slots(bytes: &[u8]) {
    let _ = newest(bytes);
    let mut slot = image(u64::MAX, bytes);
    slot.resize(slot.len().next_multiple_of(BLOCK), 0);
    let mut torn = bytes.to_vec();
    torn.resize(slot.len(), 0);
    for file in [[slot.clone(), torn.clone()].concat(), [torn, slot].concat()] {
        assert!(newest(&file) == Some((u64::MAX, bytes)), "the whole slot is not read");
    }
}

/// The number and the contents of a slot, if it is whole.
fn read(slot: &[u8]) -> Option<(u64, &[u8])> {
    let (header, rest) = slot.split_at_checked(HEADER)?;
    let header = header.strip_prefix(MAGIC)?;
    let (number, header) = header.split_at_checked(NUMBER)?;
    let (length, held) = header.split_at_checked(NUMBER)?;
    let contents = rest.get(..usize::try_from(be(length)?).ok()?)?;
    (sum(number, length, contents) == held).then_some((be(number)?, contents))
}

fn be(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// Readable by the owner only.
fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let temporary = dir.join(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(n: usize) -> Vec<u8> {
        format!("contents {n}").repeat(1 + n % 7).into_bytes()
    }

    #[test]
    fn a_write_that_was_cut_anywhere_leaves_the_contents_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = TwoSlots::load(path.clone()).unwrap().0;
        file.write(&contents(0)).unwrap();
        for n in 1..6 {
            let before = std::fs::read(&path).unwrap();
            file.write(&contents(n)).unwrap();
            let after = std::fs::read(&path).unwrap();
            assert_eq!(before.len(), after.len());
            // The disk may have taken any part of it; here the first or the last bytes. All is at the slots' beginnings.
            for cut in (0..=after.len()).filter(|cut| cut % BLOCK < 300) {
                for torn in
                    [[&after[..cut], &before[cut..]].concat(), [&before[..cut], &after[cut..]].concat()]
                {
                    std::fs::write(&path, &torn).unwrap();
                    let seen = TwoSlots::load(path.clone()).unwrap().1.unwrap();
                    assert!(seen == contents(n) || seen == contents(n - 1), "{n} cut at {cut}");
                }
            }
            std::fs::write(&path, &after).unwrap();
            assert_eq!(TwoSlots::load(path.clone()).unwrap().1.unwrap(), contents(n));
        }
    }

    #[test]
    fn a_file_that_goes_on_after_a_load_grows_and_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for length in [0, 10, 5_000, 5_001, 100_000, 3] {
            let (mut file, _) = TwoSlots::load(path.clone()).unwrap();
            for round in 0..3u8 {
                file.write(&vec![round; length]).unwrap();
                assert_eq!(TwoSlots::load(path.clone()).unwrap().1.unwrap(), vec![round; length]);
            }
        }
        let (mut file, _) = TwoSlots::load(path.clone()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(TwoSlots::load(path.clone()).unwrap().1.is_none());
        file.write(b"again").unwrap();
        assert_eq!(TwoSlots::load(path).unwrap().1.unwrap(), b"again");
    }

    #[test]
    fn what_is_no_such_file_is_told_and_can_be_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for wrong in [&b""[..], b"garbage", &[0; 10_000]] {
            std::fs::write(&path, wrong).unwrap();
            assert!(TwoSlots::load(path.clone()).is_err());
        }
        TwoSlots::new(path.clone()).write(b"good").unwrap();
        assert_eq!(TwoSlots::load(path).unwrap().1.unwrap(), b"good");
    }
}
