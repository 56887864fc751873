//! A journal in front of a storage engine: a flush is one write and one fdatasync of a file that does not grow, and the
//! engine behind sees only what is kept for long.
//!
//! Knows: which changes stand in the journal, and when they must move on. Must not know: what a record holds.
//!
//! Everything is written to one of two files, in frames that prove to follow each other. When one is full the other is
//! begun again, and what still counts of it moves to the engine first, a little at a time and synced as often as the engine
//! likes it: nothing else ever writes to the engine, and the journal keeps what it has not synced. The named records move
//! with each change of files, since a file that is begun again may have held the last of one alone. An entry that a
//! snapshot has made superfluous by then, which is nearly every one, never gets there.
//!
//! After a crash the frames are read again. Whatever an entry's last change was, the journal has it or the engine does, so
//! that it does not matter how far a move had come.

mod frame;
mod segment;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parking_lot::Mutex;
use ring::rand::SecureRandom;

use self::frame::{Chain, Change, FRAME_HEADER, SEGMENT_HEADER};
use self::segment::{Segment, io_error, sync};
use self::state::{Behind, Place, State};
use super::engine::{Engine, EngineError};

const NAMES: [&str; 2] = ["journal-0", "journal-1"];
const SALT: usize = 16;

/// How much goes where.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Of each of the two files.
    pub segment: u64,
    /// Moved to the engine between two of its flushes.
    pub move_bytes: usize,
}

impl Default for Sizes {
    /// The entries between two snapshots, if they are as small as most are, and as many again.
    fn default() -> Self {
        Self { segment: 8 << 20, move_bytes: 64 * 1024 }
    }
}

/// An engine behind a journal.
pub struct Journal<E> {
    behind: E,
    sizes: Sizes,
    state: Mutex<State>,
}

impl<E: Engine> Journal<E> {
    /// Takes over the journal in `dir`, made if missing, in front of the engine whose folder it is.
    pub fn open(behind: E, dir: &Path, sizes: Sizes) -> Result<Self, EngineError> {
        let [first, second] = NAMES.map(|name| Segment::open(&dir.join(name)));
        let ((first, a), (second, b)) = (first?, second?);
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("syncing the log folder"))?;
        let mut state = State {
            segments: [first, second],
            current: 0,
            written: 0,
            chain: Chain { frames: 0, sum: 0 },
            frame: Vec::new(),
            entries: BTreeMap::new(),
            named: BTreeMap::new(),
            behind: Behind { first: 0, end: u64::MAX, filled: true },
        };
        state.replay([&a, &b])?;
        state.behind.filled = is_filled(&behind)?;
        let mut salt = [0; SALT];
        ring::rand::SystemRandom::new()
            .fill(&mut salt)
            .map_err(|_| io_error("making a random number")(std::io::ErrorKind::Other.into()))?;
        let journal = Self { behind, sizes, state: Mutex::new(state) };
        journal.change(Change::Opened(&salt))?;
        // What a killed process had written counts from now on.
        journal.write_through()?;
        Ok(journal)
    }

    fn change(&self, change: Change<'_>) -> Result<(), EngineError> {
        let mut state = self.state.lock();
        let longest = self.sizes.segment - (SEGMENT_HEADER + FRAME_HEADER) as u64;
        if change.size() as u64 > longest {
            let source = std::io::ErrorKind::InvalidInput.into();
            return Err(EngineError::Io { action: "writing a record longer than the log's journal", source });
        }
        if !state.has_room(change.size(), self.sizes.segment) {
            drop(state);
            self.turn()?;
            state = self.state.lock();
        }
        state.add(change)
    }

    /// Goes on in the other file.
    fn turn(&self) -> Result<(), EngineError> {
        self.write_through()?;
        self.settle_names()?;
        let old = 1 - self.state.lock().current;
        self.move_on(old, usize::MAX)?;
        let mut state = self.state.lock();
        state.current = old;
        state.begin()
    }

    /// The named records go to the engine whenever a file is lost: the last of one may stand in that file alone.
    fn settle_names(&self) -> Result<(), EngineError> {
        let named = self.state.lock().named.clone();
        let mut any = false;
        for (name, value) in &named {
            if self.behind.named(name)?.as_ref() != Some(value) {
                self.behind.put_named(name, value)?;
                any = true;
            }
        }
        if any { self.behind.flush() } else { Ok(()) }
    }

    /// All changes so far are on disk.
    fn write_through(&self) -> Result<(), EngineError> {
        let file = {
            let mut state = self.state.lock();
            state.seal()?;
            state.current_mut().file()
        };
        // Not under the lock: a slow disk holds up no reader.
        sync(&file)
    }

    /// Has the engine take what lies in file `old`, about as many bytes; all of the journal is on disk.
    fn move_on(&self, old: usize, bytes: usize) -> Result<(), EngineError> {
        let lies_there = |(_, place): &(&u64, &Place)| place.segment == old;
        let (doomed, moving) = {
            let state = self.state.lock();
            let mut left = bytes;
            let fits = |(_, place): &(&u64, &Place)| {
                let fits = left > 0;
                left = left.saturating_sub(place.length);
                fits
            };
            let moving: Vec<(u64, Place)> = match bytes {
                // One that was sealed anew may lie anywhere.
                usize::MAX => state.entries.iter().filter(lies_there).map(|(i, p)| (*i, *p)).collect(),
                _ => state
                    .entries
                    .iter()
                    .take_while(lies_there)
                    .take_while(fits)
                    .map(|(i, p)| (*i, *p))
                    .collect(),
            };
            (state.behind.filled.then_some((state.behind.first, state.behind.end)), moving)
        };
        // What is gone goes first: it must not come to light again among what is moved.
        if let Some((first, end)) = doomed {
            if end < u64::MAX {
                self.behind.remove_from(end)?;
            }
            if let Some(last) = first.checked_sub(1) {
                self.behind.remove_through(last)?;
            }
            self.behind.flush()?;
            self.state.lock().behind.filled = is_filled(&self.behind)?;
        }
        let mut unsynced = 0;
        for (index, place) in &moving {
            let value = self.state.lock().read(*place)?;
            self.behind.put(*index, &value)?;
            unsynced += value.len();
            if unsynced >= self.sizes.move_bytes {
                self.behind.flush()?;
                unsynced = 0;
            }
        }
        if unsynced > 0 {
            self.behind.flush()?;
        }
        let mut state = self.state.lock();
        for (index, _) in &moving {
            state.entries.remove(index);
        }
        if let Some((last, _)) = moving.last() {
            state.behind.end = state.behind.end.max(last + 1);
            state.behind.filled = true;
        }
        Ok(())
    }

    /// While the second half of a file is written, the other one's records move on bit by bit, so that nobody waits long
    /// when it is full.
    fn move_early(&self) -> Result<(), EngineError> {
        let old = {
            let state = self.state.lock();
            let old = 1 - state.current;
            let due = state.written > self.sizes.segment / 2;
            let any = state.entries.first_key_value().is_some_and(|(_, place)| place.segment == old);
            if !due || !any {
                return Ok(());
            }
            old
        };
        self.move_on(old, self.sizes.move_bytes)
    }
}

impl<E: Engine> Journal<E> {
    /// What still counts of the records `first..=last` of the engine behind.
    fn read_behind(
        &self,
        counts: &Behind,
        (first, last): (u64, u64),
        max_bytes: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, EngineError> {
        let (first, last) = (first.max(counts.first), last.min(counts.end.saturating_sub(1)));
        if !counts.filled || first > last {
            return Ok(Vec::new());
        }
        self.behind.read(first, last, max_bytes)
    }
}

/// Whether it has any records. One by halves was just moved there, or taken away, when the power went: the journal has
/// it, or knows that it is gone.
fn is_filled(behind: &impl Engine) -> Result<bool, EngineError> {
    match behind.read(0, u64::MAX, 0) {
        Ok(records) => Ok(!records.is_empty()),
        Err(EngineError::Damaged(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

impl<E: Engine> Engine for Journal<E> {
    fn put(&self, index: u64, value: &[u8]) -> Result<(), EngineError> {
        self.change(Change::Put(index, value))
    }

    fn read(&self, first: u64, last: u64, max_bytes: usize) -> Result<Vec<(u64, Vec<u8>)>, EngineError> {
        if first > last {
            return Ok(Vec::new());
        }
        // Held all the while: nothing moves from here to there between two looks.
        let state = self.state.lock();
        let (mut found, mut bytes, mut next) = (Vec::new(), 0, first);
        for (index, place) in state.entries.range(first..=last) {
            // What the journal has is not looked for behind it: a crash may have left it there by halves.
            if let Some(before) = index.checked_sub(1).filter(|before| next <= *before) {
                let behind = self.read_behind(&state.behind, (next, before), max_bytes - bytes)?;
                bytes += behind.iter().map(|(_, value)| value.len()).sum::<usize>();
                found.extend(behind);
            }
            if bytes > max_bytes {
                return Ok(found);
            }
            let value = state.read(*place)?;
            bytes += value.len();
            found.push((*index, value));
            next = index.saturating_add(1);
            if bytes > max_bytes {
                return Ok(found);
            }
        }
        found.extend(self.read_behind(&state.behind, (next, last), max_bytes - bytes)?);
        Ok(found)
    }

    fn remove_from(&self, first: u64) -> Result<(), EngineError> {
        self.change(Change::RemoveFrom(first))
    }

    fn remove_through(&self, last: u64) -> Result<(), EngineError> {
        self.change(Change::RemoveThrough(last))
    }

    fn put_named(&self, name: &str, value: &[u8]) -> Result<(), EngineError> {
        self.change(Change::Named(name, value))
    }

    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let here = self.state.lock().named.get(name).cloned();
        here.map_or_else(|| self.behind.named(name), |value| Ok(Some(value)))
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.write_through()?;
        self.move_early()
    }
}

/// The engine of a manager's log: a journal in front of sled.
pub type DiskEngine = Journal<super::SledEngine>;

impl DiskEngine {
    /// Opens or creates both in `dir`.
    pub fn on_sled(dir: &Path) -> Result<Self, EngineError> {
        Self::open(super::SledEngine::open(dir)?, dir, Sizes::default())
    }
}
