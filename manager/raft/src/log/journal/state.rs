//! What the two files of the journal hold: where each record lies, and the frame that is being filled.
//! Knows: frames, and how they are read again after a crash. Must not know: the engine behind, or when a file is full enough.

use std::collections::BTreeMap;

use super::frame::{Chain, Change, FRAME_HEADER, SEGMENT_HEADER};
use super::segment::Segment;
use crate::log::EngineError;

/// A frame is written once it is so long, flushed or not.
const FRAME_BYTES: usize = 256 * 1024;

/// Where a record lies in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub segment: usize,
    pub at: u64,
    pub length: usize,
}

pub struct State {
    pub segments: [Segment; 2],
    /// Which of them is written.
    pub current: usize,
    /// So far.
    pub written: u64,
    pub chain: Chain,
    /// The next frame: room for its header, and changes. Empty while there are none.
    pub frame: Vec<u8>,
    /// Records that the engine behind does not have, or not so.
    pub entries: BTreeMap<u64, Place>,
    pub named: BTreeMap<String, Vec<u8>>,
    pub behind: Behind,
}

/// What of the records of the engine behind still counts.
pub struct Behind {
    /// `first..end`.
    pub first: u64,
    pub end: u64,
    /// Whether it has any.
    pub filled: bool,
}

/// What one file holds: frames that follow each other.
struct Run<'a> {
    segment: usize,
    start: Chain,
    end: Chain,
    /// Bytes up to the end of the last of them.
    written: u64,
    /// Each frame's changes, and where in the file they begin.
    frames: Vec<(u64, &'a [u8])>,
}

impl<'a> Run<'a> {
    fn of(segment: usize, bytes: &'a [u8]) -> Option<Self> {
        let start = Chain::of_segment(bytes)?;
        let (mut end, mut written, mut frames) = (start, SEGMENT_HEADER as u64, Vec::new());
        while let Some(changes) = bytes.get(written as usize..).and_then(|rest| end.next(rest)) {
            let begins = written + FRAME_HEADER as u64;
            frames.push((begins, changes));
            written = begins + changes.len() as u64;
        }
        Some(Self { segment, start, end, written, frames })
    }
}

impl State {
    /// Takes what the files hold, oldest first, and goes on where they end.
    pub fn replay(&mut self, files: [&[u8]; 2]) -> Result<(), EngineError> {
        let mut runs: Vec<Run<'_>> =
            files.iter().enumerate().filter_map(|(segment, bytes)| Run::of(segment, bytes)).collect();
        runs.sort_by_key(|run| run.start.frames);
        if let [older, newer] = runs.as_slice()
            && older.end != newer.start
        {
            // It is being written anew, so all that still counted had moved on.
            runs.remove(0);
        }
        for run in &runs {
            for (at, changes) in &run.frames {
                self.replay_frame(run.segment, *at, changes)?;
            }
        }
        match runs.last() {
            Some(newest) => {
                (self.current, self.written, self.chain) = (newest.segment, newest.written, newest.end);
                Ok(())
            }
            None => self.begin(),
        }
    }

    fn replay_frame(&mut self, segment: usize, at: u64, changes: &[u8]) -> Result<(), EngineError> {
        let mut rest = changes;
        while !rest.is_empty() {
            let unknown =
                || EngineError::Damaged("a change in the journal that this version cannot read".to_owned());
            let change = Change::decode(&mut rest).ok_or_else(unknown)?;
            let end = at + (changes.len() - rest.len()) as u64;
            self.apply(change, segment, end);
        }
        Ok(())
    }

    /// Takes a change into account whose last byte lies before `end` in that file.
    fn apply(&mut self, change: Change<'_>, segment: usize, end: u64) {
        match change {
            Change::Put(index, value) => {
                let place = Place { segment, at: end - value.len() as u64, length: value.len() };
                self.entries.insert(index, place);
            }
            Change::Named(name, value) => drop(self.named.insert(name.to_owned(), value.to_vec())),
            Change::RemoveFrom(first) => {
                self.entries.split_off(&first);
                self.behind.end = self.behind.end.min(first);
            }
            Change::RemoveThrough(last) => {
                self.entries = self.entries.split_off(&last.saturating_add(1));
                self.behind.first = self.behind.first.max(last.saturating_add(1));
            }
            Change::Opened(_) => {}
        }
    }

    /// Begins the current file.
    pub fn begin(&mut self) -> Result<(), EngineError> {
        let header = self.chain.header();
        self.current_mut().write(0, &header)?;
        self.written = SEGMENT_HEADER as u64;
        Ok(())
    }

    pub fn has_room(&self, bytes: usize, segment: u64) -> bool {
        self.written + (self.frame.len().max(FRAME_HEADER) + bytes) as u64 <= segment
    }

    pub fn add(&mut self, change: Change<'_>) -> Result<(), EngineError> {
        if self.frame.is_empty() {
            self.frame.resize(FRAME_HEADER, 0);
        }
        change.encode(&mut self.frame);
        self.apply(change, self.current, self.written + self.frame.len() as u64);
        if self.frame.len() >= FRAME_BYTES { self.seal() } else { Ok(()) }
    }

    /// Writes the frame begun, if one is.
    pub fn seal(&mut self) -> Result<(), EngineError> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let mut frame = std::mem::take(&mut self.frame);
        self.chain.seal(&mut frame);
        let at = self.written;
        self.current_mut().write(at, &frame)?;
        self.written += frame.len() as u64;
        frame.clear();
        frame.shrink_to(FRAME_BYTES);
        self.frame = frame;
        Ok(())
    }

    pub fn read(&self, place: Place) -> Result<Vec<u8>, EngineError> {
        let [first, second] = &self.segments;
        let segment = if place.segment == 0 { first } else { second };
        match place.at.checked_sub(self.written).filter(|_| place.segment == self.current) {
            Some(at) => {
                let value = self.frame.get(at as usize..).and_then(|rest| rest.get(..place.length));
                value
                    .map(<[u8]>::to_vec)
                    .ok_or_else(|| EngineError::Damaged("a record is not where it was put".to_owned()))
            }
            None => segment.read(place.at, place.length),
        }
    }

    pub fn current_mut(&mut self) -> &mut Segment {
        let [first, second] = &mut self.segments;
        if self.current == 0 { first } else { second }
    }
}
