//! What the journal notes of each change, so that it can be made once more.
//!
//! Knows: how a change is spelled. Must not know: where it is noted, how it is made.

/// A change of the engine. Making a series of them again, from its beginning, leaves what it left the first time,
/// whatever part of it was there before: each one says what is there afterwards, not what is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redo<'a> {
    Put { index: u64, value: &'a [u8] },
    RemoveFrom(u64),
    RemoveThrough(u64),
    Named { name: &'a str, value: &'a [u8] },
}

const PUT: u8 = 1;
const REMOVE_FROM: u8 = 2;
const REMOVE_THROUGH: u8 = 3;
const NAMED: u8 = 4;
/// Bytes of a note beside a name and a value.
const FIXED: usize = 1 + 8 + 4;

impl<'a> Redo<'a> {
    /// At least as many bytes as [`Redo::write`] appends.
    pub fn size(&self) -> usize {
        FIXED
            + match self {
                Self::Put { value, .. } => value.len(),
                Self::Named { name, value } => name.len() + value.len() + 4,
                Self::RemoveFrom(_) | Self::RemoveThrough(_) => 0,
            }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Put { index, value } => {
                number(out, PUT, index);
                text(out, value);
            }
            Self::RemoveFrom(first) => number(out, REMOVE_FROM, first),
            Self::RemoveThrough(last) => number(out, REMOVE_THROUGH, last),
            Self::Named { name, value } => {
                out.push(NAMED);
                text(out, name.as_bytes());
                text(out, value);
            }
        }
    }

    /// The first change of `notes`, which then begins after it. `None`: that is none.
    pub fn read(notes: &mut &'a [u8]) -> Option<Self> {
        let (kind, rest) = notes.split_first()?;
        *notes = rest;
        match *kind {
            PUT => Some(Self::Put { index: read_number(notes)?, value: read_text(notes)? }),
            REMOVE_FROM => read_number(notes).map(Self::RemoveFrom),
            REMOVE_THROUGH => read_number(notes).map(Self::RemoveThrough),
            NAMED => {
                let name = std::str::from_utf8(read_text(notes)?).ok()?;
                Some(Self::Named { name, value: read_text(notes)? })
            }
            _ => None,
        }
    }
}

fn number(out: &mut Vec<u8>, kind: u8, number: u64) {
    out.push(kind);
    out.extend_from_slice(&number.to_be_bytes());
}

// Records are bounded well below what a u32 counts.
#[allow(clippy::cast_possible_truncation)]
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn read_number(notes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = notes.split_first_chunk::<8>()?;
    *notes = rest;
    Some(u64::from_be_bytes(*number))
}

fn read_text<'a>(notes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = notes.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *notes = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_noted_is_read(index: u64, value: Vec<u8>, name in "[a-z]{0,20}") {
            let all = [
                Redo::Put { index, value: &value },
                Redo::Named { name: &name, value: &value },
                Redo::RemoveFrom(index),
                Redo::RemoveThrough(index),
            ];
            let mut bytes = Vec::new();
            for redo in &all {
                let before = bytes.len();
                redo.write(&mut bytes);
                prop_assert!(bytes.len() - before <= redo.size());
            }
            let mut notes = bytes.as_slice();
            for redo in &all {
                let read = Redo::read(&mut notes);
                prop_assert_eq!(read.as_ref(), Some(redo));
            }
            prop_assert!(notes.is_empty());
        }

        #[test]
        fn garbage_is_read_without_panic(bytes: Vec<u8>) {
            let mut notes = bytes.as_slice();
            while Redo::read(&mut notes).is_some() {}
        }
    }
}
