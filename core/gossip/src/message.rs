//! What is in a frame: the messages of SWIM with the news that ride on them, and the two of push-pull. Who sent it stands in
//! the frame. Every length is bounded by the frame's, and bytes left over are an error.

use crate::frame::Number;
use alloc::vec::Vec;

/// A member under one of its lives: it begins a new one when it starts, and when it learns that it was declared dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub number: Number,
    pub life: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Alive,
    Suspect,
    Down,
}

/// News of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    pub member: Named,
    /// Counted up by the member alone, when it refutes a suspicion.
    pub incarnation: u16,
    pub standing: Standing,
}

/// One who probed `target` itself and had no answer. Several of them shorten the time until it is declared dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accusation {
    pub target: Named,
    pub incarnation: u16,
    pub accuser: Number,
}

/// Two members that hold the same say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    pub members: u32,
    pub hash: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Ping(u8),
    Ack(u8),
    PingReq {
        target: Named,
        probe: u8,
    },
    IndirectPing {
        origin: Named,
        probe: u8,
    },
    IndirectAck {
        target: Named,
        probe: u8,
    },
    ForwardedAck {
        origin: Named,
        probe: u8,
    },
    Announce,
    Feed,
    Gossip,
    /// To who is dead under this life, for all the sender knows.
    TurnUndead(u32),
    /// On a stream: is yours the same?
    Digest(Digest),
    /// On a stream: all of mine, in `updates`.
    Whole,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub kind: Kind,
    /// The sender's own.
    pub life: u32,
    pub incarnation: u16,
    pub updates: Vec<Update>,
    pub accusations: Vec<Accusation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message of gossip")]
pub struct Malformed;

/// Sizes of what a message may hold many of.
pub const UPDATE_BYTES: usize = 23;
pub const ACCUSATION_BYTES: usize = 38;
/// What a message needs without them: kind, life, incarnation, probe and member, two counts.
pub const MOST_BEFORE_NEWS: usize = 1 + 4 + 2 + 21 + 2 + 1;

impl Message {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MOST_BEFORE_NEWS + UPDATE_BYTES * self.updates.len());
        out.push(self.kind.code());
        out.extend(self.life.to_be_bytes());
        out.extend(self.incarnation.to_be_bytes());
        self.kind.encode(&mut out);
        // What does not fit into a count does not fit into a frame either.
        let updates = u16::try_from(self.updates.len()).unwrap_or(u16::MAX);
        out.extend(updates.to_be_bytes());
        self.updates.iter().take(updates.into()).for_each(|update| update.encode(&mut out));
        let accusations = u8::try_from(self.accusations.len()).unwrap_or(u8::MAX);
        out.push(accusations);
        self.accusations.iter().take(accusations.into()).for_each(|accusation| accusation.encode(&mut out));
        out
    }

    /// # Errors
    /// The bytes are not exactly one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Reader(bytes);
        let code = rest.byte()?;
        let (life, incarnation) = (rest.u32()?, rest.u16()?);
        let kind = Kind::decode(code, &mut rest)?;
        let updates = rest.u16()?;
        let updates = rest.several(updates.into(), UPDATE_BYTES, Reader::update)?;
        let accusations = rest.byte()?;
        let accusations = rest.several(accusations.into(), ACCUSATION_BYTES, Reader::accusation)?;
        if rest.0.is_empty() {
            Ok(Self { kind, life, incarnation, updates, accusations })
        } else {
            Err(Malformed)
        }
    }
}

impl Kind {
    fn code(&self) -> u8 {
        match self {
            Self::Ping(_) => 1,
            Self::Ack(_) => 2,
            Self::PingReq { .. } => 3,
            Self::IndirectPing { .. } => 4,
            Self::IndirectAck { .. } => 5,
            Self::ForwardedAck { .. } => 6,
            Self::Announce => 7,
            Self::Feed => 8,
            Self::Gossip => 9,
            Self::TurnUndead(_) => 10,
            Self::Digest(_) => 11,
            Self::Whole => 12,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ping(probe) | Self::Ack(probe) => out.push(*probe),
            Self::PingReq { target: member, probe }
            | Self::IndirectPing { origin: member, probe }
            | Self::IndirectAck { target: member, probe }
            | Self::ForwardedAck { origin: member, probe } => {
                out.push(*probe);
                member.encode(out);
            }
            Self::TurnUndead(life) => out.extend(life.to_be_bytes()),
            Self::Announce | Self::Feed | Self::Gossip | Self::Whole => {}
            Self::Digest(digest) => {
                out.extend(digest.members.to_be_bytes());
                out.extend(digest.hash.to_be_bytes());
            }
        }
    }

    fn decode(code: u8, rest: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match code {
            1 => Self::Ping(rest.byte()?),
            2 => Self::Ack(rest.byte()?),
            3..=6 => {
                let (probe, member) = (rest.byte()?, rest.named()?);
                match code {
                    3 => Self::PingReq { target: member, probe },
                    4 => Self::IndirectPing { origin: member, probe },
                    5 => Self::IndirectAck { target: member, probe },
                    _ => Self::ForwardedAck { origin: member, probe },
                }
            }
            7 => Self::Announce,
            8 => Self::Feed,
            9 => Self::Gossip,
            10 => Self::TurnUndead(rest.u32()?),
            11 => Self::Digest(Digest { members: rest.u32()?, hash: rest.u64()? }),
            12 => Self::Whole,
            _ => return Err(Malformed),
        })
    }
}

impl Named {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.number.0);
        out.extend(self.life.to_be_bytes());
    }
}

impl Update {
    fn encode(&self, out: &mut Vec<u8>) {
        self.member.encode(out);
        out.extend(self.incarnation.to_be_bytes());
        out.push(match self.standing {
            Standing::Alive => 0,
            Standing::Suspect => 1,
            Standing::Down => 2,
        });
    }
}

impl Accusation {
    fn encode(&self, out: &mut Vec<u8>) {
        self.target.encode(out);
        out.extend(self.incarnation.to_be_bytes());
        out.extend(self.accuser.0);
    }
}

/// What is still to be read.
struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (chunk, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*chunk)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.chunk().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.chunk().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.chunk().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.chunk().map(u64::from_be_bytes)
    }

    fn named(&mut self) -> Result<Named, Malformed> {
        Ok(Named { number: Number(self.chunk()?), life: self.u32()? })
    }

    fn update(&mut self) -> Result<Update, Malformed> {
        let (member, incarnation) = (self.named()?, self.u16()?);
        let standing = match self.byte()? {
            0 => Standing::Alive,
            1 => Standing::Suspect,
            2 => Standing::Down,
            _ => return Err(Malformed),
        };
        Ok(Update { member, incarnation, standing })
    }

    fn accusation(&mut self) -> Result<Accusation, Malformed> {
        let (target, incarnation) = (self.named()?, self.u16()?);
        Ok(Accusation { target, incarnation, accuser: Number(self.chunk()?) })
    }

    /// A count that promises more than there is is refused before anything is reserved for it.
    fn several<T>(
        &mut self,
        count: usize,
        each: usize,
        read: fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        if count.saturating_mul(each) > self.0.len() {
            return Err(Malformed);
        }
        (0..count).map(|_| read(self)).collect()
    }
}
