//! What a datagram looks like, and how one's own are sealed. Ciphers are behind `Aead`.
//!
//! ```text
//! version  key  sender  boot  counter │ sealed message  tag
//!    1      1     16     4      8     │                 16
//! ```
//! The key a frame is sealed with is derived from one of the cluster's, the sender and its boot, so that a counter is all a
//! nonce has to be: a node never begins the same boot twice. The header and the receiver's number are sealed in: a frame
//! taken from the wire is worth nothing to anybody else, whoever it was sent to.

use alloc::vec::Vec;
use swarm_model::NodeId;

pub const VERSION: u8 = 1;
pub const HEADER_BYTES: usize = 30;
pub const TAG_BYTES: usize = 16;
/// A datagram fits into the smallest packet every IPv6 path carries.
pub const MAX_DATAGRAM: usize = 1232;
/// The longest message in a datagram.
pub const MAX_MESSAGE: usize = MAX_DATAGRAM - HEADER_BYTES - TAG_BYTES;
/// A frame on a stream: the states of 2,800 members.
pub const MAX_STREAM_FRAME: usize = 64 * 1024;

/// A node's id as 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub [u8; 16]);

impl Number {
    /// None for an id that was not made from 16 bytes.
    pub fn of(node: &NodeId) -> Option<Self> {
        node.to_bytes().map(Self)
    }

    pub fn node(self) -> NodeId {
        NodeId::from_random(self.0)
    }
}

/// What stands open before a frame, unproven until the frame is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The last byte of the key's generation: three at most are in use.
    pub key: u8,
    pub sender: Number,
    /// Counts the sender's starts.
    pub boot: u32,
    pub counter: u64,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let fields =
            [&[VERSION, self.key][..], &self.sender.0, &self.boot.to_be_bytes(), &self.counter.to_be_bytes()];
        bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(byte, field)| *byte = *field);
        bytes
    }

    /// The header and what is sealed. None: not a frame of this version.
    pub fn decode(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (&[version, key], rest) = frame.split_first_chunk()?;
        let (sender, rest) = rest.split_first_chunk()?;
        let (boot, rest) = rest.split_first_chunk()?;
        let (counter, sealed) = rest.split_first_chunk()?;
        let (boot, counter) = (u32::from_be_bytes(*boot), u64::from_be_bytes(*counter));
        let header = Self { key, sender: Number(*sender), boot, counter };
        (version == VERSION && sealed.len() >= TAG_BYTES).then_some((header, sealed))
    }

    pub fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.iter_mut().skip(4).zip(self.counter.to_be_bytes()).for_each(|(n, c)| *n = c);
        nonce
    }

    /// What is sealed in beside the message.
    pub fn bound(&self, receiver: Number) -> Vec<u8> {
        [&self.encode()[..], &receiver.0].concat()
    }
}

/// The ring of keys, and the cipher.
pub trait Aead {
    /// The key to seal with. None while there is no ring.
    fn newest(&self) -> Option<u8>;
    fn knows(&self, key: u8) -> bool;
    /// Seals in place and appends the tag. None: no such key.
    fn seal(&mut self, header: &Header, bound: &[u8], message: &mut Vec<u8>) -> Option<()>;
    /// Opens in place and takes the tag off. None: no such key, or not sealed with it.
    fn open(&mut self, header: &Header, bound: &[u8], sealed: &mut Vec<u8>) -> Option<()>;
}

/// Seals what one node sends, counting. There is one for each boot: a second would count again from the beginning.
#[derive(Debug)]
pub struct Outbox {
    me: Number,
    boot: u32,
    counter: u64,
}

impl Outbox {
    pub fn new(me: Number, boot: u32) -> Self {
        Self { me, boot, counter: 0 }
    }

    /// None while there is no key; also after 2^64 frames.
    pub fn seal(&mut self, aead: &mut impl Aead, receiver: Number, message: &[u8]) -> Option<Vec<u8>> {
        let counter = self.counter.checked_add(1)?;
        let header = Header { key: aead.newest()?, sender: self.me, boot: self.boot, counter };
        self.counter = counter;
        let mut sealed = message.to_vec();
        aead.seal(&header, &header.bound(receiver), &mut sealed)?;
        Some([&header.encode()[..], &sealed].concat())
    }
}
