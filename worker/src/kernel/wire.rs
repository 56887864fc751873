//! Netlink messages as bytes. Knows: headers, attributes, padding. Must not know: sockets, or what a message
//! means.

use super::uapi::NESTED;
use std::fmt;

/// `nlmsghdr`: length u32, type u16, flags u16, sequence u32, port u32.
pub const HEADER: usize = 16;
const ALIGN: usize = 4;

/// Messages in the order they are to be sent, back to back in one buffer.
#[derive(Default)]
pub struct Messages {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

/// Without the bytes: there may be keys among them.
impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages, {} bytes", self.starts.len(), self.bytes.len())
    }
}

/// An attribute that holds others, until it is closed.
#[must_use]
pub struct Nest(usize);

impl Messages {
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Starts a message; what follows belongs to it. Its length is kept right as it grows.
    pub fn begin(&mut self, kind: u16, flags: u16, header: &[u8]) -> &mut Self {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(header);
        self.pad();
        self
    }

    pub fn attr(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    pub fn attr_u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.attr(kind, &[value])
    }

    pub fn attr_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Text with its closing zero byte.
    pub fn attr_text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.attr(kind, &bytes)
    }

    /// Bytes that are no attribute, inside the current message.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    pub fn open(&mut self, kind: u16) -> Nest {
        let nest = Nest(self.bytes.len());
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        nest
    }

    pub fn close(&mut self, nest: Nest) -> &mut Self {
        let length = u16::try_from(self.bytes.len() - nest.0).unwrap_or(u16::MAX);
        if let Some(field) = self.bytes.get_mut(nest.0..nest.0 + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        self.pad();
        self
    }

    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(ALIGN);
        self.bytes.resize(padded, 0);
        if let Some(&start) = self.starts.last() {
            let length = u32::try_from(padded - start).unwrap_or(u32::MAX);
            if let Some(field) = self.bytes.get_mut(start..start + 4) {
                field.copy_from_slice(&length.to_ne_bytes());
            }
        }
    }

    /// The messages with their sequence numbers, counted from `sequence`, cut into pieces of at most `most`
    /// bytes (a larger message is a piece of its own). `flags` are added to each message, `last` to the last
    /// of each piece.
    pub fn pieces(mut self, sequence: u32, most: usize, flags: u16, last: u16) -> Vec<Piece> {
        self.number(sequence, flags);
        let mut pieces: Vec<Piece> = Vec::new();
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len()]);
        for (index, (start, end)) in self.starts.iter().copied().zip(ends).enumerate() {
            let bytes = self.bytes.get(start..end).unwrap_or_default();
            match pieces.last_mut() {
                Some(piece) if piece.bytes.len() + bytes.len() <= most => piece.add(index, bytes),
                _ => pieces.push(Piece { bytes: bytes.to_vec(), last: index, start: 0 }),
            }
        }
        pieces.iter_mut().for_each(|piece| piece.flag_last(last));
        pieces
    }

    fn number(&mut self, sequence: u32, flags: u16) {
        for (index, start) in self.starts.iter().enumerate() {
            let own = sequence.wrapping_add(u32::try_from(index).unwrap_or_default());
            if let Some(header) = self.bytes.get_mut(*start..*start + HEADER) {
                add_flags(header, flags);
                if let Some(field) = header.get_mut(8..12) {
                    field.copy_from_slice(&own.to_ne_bytes());
                }
            }
        }
    }
}

/// What goes out with one system call.
pub struct Piece {
    pub bytes: Vec<u8>,
    /// Index of its last message among all.
    pub last: usize,
    start: usize,
}

impl Piece {
    fn add(&mut self, index: usize, bytes: &[u8]) {
        self.start = self.bytes.len();
        self.last = index;
        self.bytes.extend_from_slice(bytes);
    }

    fn flag_last(&mut self, flags: u16) {
        if let Some(header) = self.bytes.get_mut(self.start..) {
            add_flags(header, flags);
        }
    }
}

fn add_flags(header: &mut [u8], flags: u16) {
    if let Some([low, high]) = header.get_mut(6..8) {
        let old = u16::from_ne_bytes([*low, *high]);
        [*low, *high] = (old | flags).to_ne_bytes();
    }
}

/// One received message.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub body: &'a [u8],
}

/// Splits what one `recv` brought. Stops at the first thing that is no message.
pub fn split(mut bytes: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(bytes, 0)? as usize;
        let message = bytes.get(..length).filter(|_| length >= HEADER)?;
        bytes = bytes.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(Received {
            kind: u16_at(message, 4)?,
            flags: u16_at(message, 6)?,
            sequence: u32_at(message, 8)?,
            body: message.get(HEADER..)?,
        })
    })
}

/// The attributes in `bytes`, after a fixed header of `skip` bytes. The nested and byte order marks are taken
/// off.
pub fn attrs(bytes: &[u8], skip: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes.get(skip.next_multiple_of(ALIGN)..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u16_at(rest, 0)? as usize;
        let kind = u16_at(rest, 2)? & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The attribute of that kind.
pub fn attr(bytes: &[u8], skip: usize, kind: u16) -> Option<&[u8]> {
    attrs(bytes, skip).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
}

/// Text up to its zero byte.
pub fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.get(..end).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut messages = Messages::default();
        for number in 0..10u32 {
            messages.begin(28, 0, &[7, 0, 0]).attr_u32(1, number).attr_text(3, "br0");
            let nest = messages.open(18);
            messages.attr(1, b"abcde");
            messages.close(nest);
        }
        let pieces = messages.pieces(100, 200, 1, 4);
        assert!(pieces.len() > 2 && pieces.iter().all(|p| p.bytes.len() <= 200));
        let mut seen = 0;
        for piece in &pieces {
            for received in split(&piece.bytes) {
                assert_eq!(received.sequence, 100 + seen);
                assert_eq!(attr(received.body, 3, 1), Some(&seen.to_ne_bytes()[..]));
                assert_eq!(attr(received.body, 3, 3).map(text), Some("br0"));
                assert_eq!(attr(received.body, 3, 18).and_then(|n| attr(n, 0, 1)), Some(&b"abcde"[..]));
                let last = seen as usize == piece.last;
                assert_eq!(
                    received.flags,
                    if last { 5 } else { 1 },
                    "only the last of a piece asks for an answer"
                );
                seen += 1;
            }
        }
        assert_eq!(seen, 10);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, skip in 0usize..40) {
            for received in split(&bytes) {
                assert!(attrs(received.body, skip).all(|(_, value)| text(value).len() <= value.len()));
            }
            attrs(&bytes, skip).for_each(drop);
        }
    }
}
