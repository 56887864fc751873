//! The words of the journal: changes, several to a frame, each frame proving that it follows the one before.
//!
//! Knows: bytes. Must not know: files, or what a change does.

/// Length and checksum in front of a frame's changes.
pub const FRAME_HEADER: usize = 8;
/// In front of the frames of a segment.
pub const SEGMENT_HEADER: usize = 24;
const MAGIC: &[u8; 8] = b"swarmdJ1";

const PUT: u8 = 1;
const NAMED: u8 = 2;
const REMOVE_FROM: u8 = 3;
const REMOVE_THROUGH: u8 = 4;
const OPENED: u8 = 5;

/// Where a chain of frames stands: how many there were, and a checksum of all of them. A frame that was left by an
/// earlier life of the file, or by writes that a crash has thrown away, continues no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    pub frames: u64,
    pub sum: u32,
}

impl Chain {
    fn after(self, changes: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.sum.to_be_bytes());
        hasher.update(&self.frames.to_be_bytes());
        hasher.update(&(changes.len() as u64).to_be_bytes());
        hasher.update(changes);
        Self { frames: self.frames + 1, sum: hasher.finalize() }
    }

    /// Makes a frame of `frame`, which holds changes behind room for the header.
    pub fn seal(&mut self, frame: &mut [u8]) {
        let Some((header, changes)) = frame.split_first_chunk_mut::<FRAME_HEADER>() else { return };
        *self = self.after(changes);
        let (length, sum) = header.split_at_mut(4);
        length.copy_from_slice(&(changes.len() as u32).to_be_bytes());
        sum.copy_from_slice(&self.sum.to_be_bytes());
    }

    /// The changes of the frame that `bytes` begin with, if it is whole and the next one of this chain.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let changes = rest.get(..length).filter(|changes| !changes.is_empty())?;
        let next = self.after(changes);
        (next.sum == u32::from_be_bytes(*sum)).then(|| *self = next)?;
        Some(changes)
    }

    /// What a segment begins with whose first frame is the next of this chain.
    pub fn header(self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        let parts: [&[u8]; 3] = [MAGIC, &self.frames.to_be_bytes(), &self.sum.to_be_bytes()];
        let known = parts.concat();
        let sum = crc32fast::hash(&known).to_be_bytes();
        for (byte, value) in bytes.iter_mut().zip(known.iter().chain(&sum)) {
            *byte = *value;
        }
        bytes
    }

    /// The chain that the frames of a segment continue; `None` when it was never begun.
    pub fn of_segment(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (frames, rest) = rest.split_first_chunk::<8>()?;
        let (sum, _) = rest.split_first_chunk::<4>()?;
        let chain = Self { frames: u64::from_be_bytes(*frames), sum: u32::from_be_bytes(*sum) };
        (magic == MAGIC && bytes.get(..SEGMENT_HEADER)? == chain.header()).then_some(chain)
    }
}

/// One change of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    Put(u64, &'a [u8]),
    Named(&'a str, &'a [u8]),
    RemoveFrom(u64),
    RemoveThrough(u64),
    /// A process took the journal over; what it writes differs from what any other wrote.
    Opened(&'a [u8]),
}

impl<'a> Change<'a> {
    pub fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Put(index, value) => {
                into.push(PUT);
                into.extend_from_slice(&index.to_be_bytes());
                bytes(value, into);
            }
            Self::Named(name, value) => {
                into.push(NAMED);
                bytes(name.as_bytes(), into);
                bytes(value, into);
            }
            Self::RemoveFrom(index) => {
                into.push(REMOVE_FROM);
                into.extend_from_slice(&index.to_be_bytes());
            }
            Self::RemoveThrough(index) => {
                into.push(REMOVE_THROUGH);
                into.extend_from_slice(&index.to_be_bytes());
            }
            Self::Opened(salt) => {
                into.push(OPENED);
                bytes(salt, into);
            }
        }
    }

    /// Bytes it takes, and one or two more.
    pub fn size(&self) -> usize {
        match self {
            Self::Put(_, value) => value.len() + 13,
            Self::Named(name, value) => name.len() + value.len() + 9,
            Self::RemoveFrom(_) | Self::RemoveThrough(_) => 9,
            Self::Opened(salt) => salt.len() + 5,
        }
    }

    /// The change that `from` begins with, taken off it.
    pub fn decode(from: &mut &'a [u8]) -> Option<Self> {
        let (kind, rest) = from.split_first()?;
        *from = rest;
        match *kind {
            PUT => Some(Self::Put(number(from)?, value(from)?)),
            NAMED => Some(Self::Named(std::str::from_utf8(value(from)?).ok()?, value(from)?)),
            REMOVE_FROM => number(from).map(Self::RemoveFrom),
            REMOVE_THROUGH => number(from).map(Self::RemoveThrough),
            OPENED => value(from).map(Self::Opened),
            _ => None,
        }
    }
}

fn bytes(value: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&(value.len() as u32).to_be_bytes());
    into.extend_from_slice(value);
}

fn number(from: &mut &[u8]) -> Option<u64> {
    let (number, rest) = from.split_first_chunk::<8>()?;
    *from = rest;
    Some(u64::from_be_bytes(*number))
}

fn value<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *from = rest;
    Some(value)
}
