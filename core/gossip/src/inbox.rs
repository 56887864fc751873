//! What comes in: whose it is, and whether it may be looked at. The cheapest question first; what fails one is dropped,
//! counted, and neither answered nor told. Must not know what a message says.

use crate::frame::{Aead, Header, MAX_STREAM_FRAME, Number};
use crate::window::Window;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Why a frame was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// Too short, too long or of another version.
    Shapeless,
    /// From nobody on the roster, or from ourselves.
    Stranger,
    /// Sealed with a key that is not in the ring.
    UnknownKey,
    /// Of an earlier boot of its sender, or taken before.
    Replayed,
    /// Of a boot that cannot have been yet.
    Ahead,
    /// Not sealed by who it says.
    Forged,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    pub sender: Number,
    pub message: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    boot: u32,
    window: Window,
}

/// By key: what was sealed in a member's name by who had a key stops nobody from being heard by the next one.
type ByKey = BTreeMap<u8, Heard>;

/// What each sender has sent so far.
#[derive(Debug)]
pub struct Inbox {
    me: Number,
    senders: BTreeMap<Number, ByKey>,
    latest: u32,
}

impl Inbox {
    pub fn new(me: Number) -> Self {
        Self { me, senders: BTreeMap::new(), latest: u32::MAX }
    }

    /// The latest boot that may have been by now. Whoever has a key could shut a member out with a later one for ever.
    pub fn set_latest(&mut self, boot: u32) {
        self.latest = boot;
    }

    /// Who may speak from now on. What is known of those who stay is kept.
    pub fn admit(&mut self, members: impl IntoIterator<Item = Number>) {
        let mut known = core::mem::take(&mut self.senders);
        let mut heard = |number: &Number| known.remove(number).unwrap_or_default();
        self.senders = members.into_iter().filter(|n| *n != self.me).map(|n| (n, heard(&n))).collect();
    }

    /// # Errors
    /// Why it is dropped. Nothing has changed then.
    pub fn open(&mut self, aead: &mut impl Aead, frame: &[u8]) -> Result<Opened, Dropped> {
        let (header, sealed) = self.look(aead, frame)?;
        let mut message = sealed.to_vec();
        aead.open(&header, &header.bound(self.me), &mut message).ok_or(Dropped::Forged)?;
        let by_key = self.senders.get_mut(&header.sender).ok_or(Dropped::Stranger)?;
        if !by_key.contains_key(&header.key) {
            by_key.retain(|key, _| aead.knows(*key));
        }
        let heard = by_key.entry(header.key).or_default();
        if header.boot > heard.boot {
            *heard = Heard { boot: header.boot, window: Window::default() };
        }
        heard.window.take(header.counter);
        Ok(Opened { sender: header.sender, message })
    }

    /// Everything that needs no cipher.
    fn look<'f>(&self, aead: &impl Aead, frame: &'f [u8]) -> Result<(Header, &'f [u8]), Dropped> {
        let (header, sealed) =
            Header::decode(frame).filter(|_| frame.len() <= MAX_STREAM_FRAME).ok_or(Dropped::Shapeless)?;
        let by_key = self.senders.get(&header.sender).ok_or(Dropped::Stranger)?;
        let heard = by_key.get(&header.key).copied().unwrap_or_default();
        let fresh = header.boot > heard.boot && header.counter > 0
            || header.boot == heard.boot && heard.window.is_new(header.counter);
        match (aead.knows(header.key), fresh) {
            (false, _) => Err(Dropped::UnknownKey),
            (true, false) => Err(Dropped::Replayed),
            (true, true) if header.boot > self.latest => Err(Dropped::Ahead),
            (true, true) => Ok((header, sealed)),
        }
    }
}
