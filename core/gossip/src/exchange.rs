//! How far an exchange over a stream has come, and what may come next. Who opened the stream says what it holds, in a
//! digest, and is answered with one; where they differ, it tells all it knows and hears all the other does. Must not know
//! what is held.

use crate::effect::Effect;
use crate::frame::{HEADER_BYTES, MAX_STREAM_FRAME, Number, TAG_BYTES};
use crate::message::{Digest, Kind, MOST_BEFORE_NEWS, Malformed, Message, UPDATE_BYTES};
use alloc::vec::Vec;

/// Members in one message.
pub(crate) const MOST_IN_WHOLE: usize =
    (MAX_STREAM_FRAME - HEADER_BYTES - TAG_BYTES - MOST_BEFORE_NEWS) / UPDATE_BYTES;
/// Messages in which one side tells all it knows: of 50,000 members.
const MOST_MESSAGES: u32 = 18;

/// What to do about a message on a stream.
#[derive(Debug)]
pub struct Said {
    pub effects: Vec<Effect>,
    /// To be sealed and sent on it, in this order.
    pub messages: Vec<Vec<u8>>,
    /// With which the next one is taken. `None`: there is none, and once these are sent the stream is closed.
    pub next: Option<Exchange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    with: Number,
    mine: Digest,
    opened: bool,
    awaited: Awaited,
    messages: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Digest,
    Whole,
    Nothing,
}

/// What is told next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Listen,
    /// All this side knows.
    Tell,
}

impl Exchange {
    pub(crate) fn begun(with: Number, mine: Digest) -> Self {
        Self { with, mine, opened: true, awaited: Awaited::Digest, messages: 0 }
    }

    pub(crate) fn asked(with: Number, mine: Digest) -> Self {
        Self { opened: false, ..Self::begun(with, mine) }
    }

    pub(crate) fn mine(&self) -> Digest {
        self.mine
    }

    pub(crate) fn is_over(&self) -> bool {
        self.awaited == Awaited::Nothing
    }

    /// # Errors
    /// Not the message that comes next, or not from whom the others were.
    pub(crate) fn take(&mut self, from: Number, message: &Message) -> Result<Step, Malformed> {
        if from != self.with || !message.accusations.is_empty() {
            return Err(Malformed);
        }
        match (&message.kind, self.awaited) {
            (Kind::Digest(theirs), Awaited::Digest) if message.updates.is_empty() => {
                let same = *theirs == self.mine;
                self.awaited = if same { Awaited::Nothing } else { Awaited::Whole };
                Ok(if self.opened && !same { Step::Tell } else { Step::Listen })
            }
            (Kind::Whole, Awaited::Whole) if self.messages < MOST_MESSAGES => {
                self.messages += 1;
                if message.updates.len() >= MOST_IN_WHOLE {
                    return Ok(Step::Listen);
                }
                self.awaited = Awaited::Nothing;
                Ok(if self.opened { Step::Listen } else { Step::Tell })
            }
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const A: Number = Number([1; 16]);
    const B: Number = Number([2; 16]);

    fn digest(hash: u64) -> Digest {
        Digest { members: 2, hash }
    }

    fn message(kind: Kind) -> Message {
        Message { kind, life: 1, incarnation: 0, updates: vec![], accusations: vec![] }
    }

    #[test]
    fn who_holds_the_same_says_no_more() {
        let (mut opened, mut asked) = (Exchange::begun(B, digest(1)), Exchange::asked(A, digest(1)));
        assert_eq!(asked.take(A, &message(Kind::Digest(digest(1)))), Ok(Step::Listen));
        assert_eq!(opened.take(B, &message(Kind::Digest(digest(1)))), Ok(Step::Listen));
        assert!(opened.is_over() && asked.is_over());
        assert_eq!(opened.take(B, &message(Kind::Whole)), Err(Malformed), "nothing was asked any more");
    }

    #[test]
    fn who_differs_tells_all_the_one_that_opened_first() {
        let (mut opened, mut asked) = (Exchange::begun(B, digest(1)), Exchange::asked(A, digest(2)));
        assert_eq!(asked.take(A, &message(Kind::Digest(digest(1)))), Ok(Step::Listen));
        assert_eq!(opened.take(B, &message(Kind::Digest(digest(2)))), Ok(Step::Tell));
        assert_eq!(asked.take(A, &message(Kind::Whole)), Ok(Step::Tell));
        assert_eq!(opened.take(B, &message(Kind::Whole)), Ok(Step::Listen));
        assert!(opened.is_over() && asked.is_over());
    }

    #[test]
    fn what_does_not_come_next_ends_it() {
        let fresh = || Exchange::asked(A, digest(2));
        assert_eq!(fresh().take(B, &message(Kind::Digest(digest(1)))), Err(Malformed), "of another");
        assert_eq!(fresh().take(A, &message(Kind::Whole)), Err(Malformed), "before any digest");
        assert_eq!(fresh().take(A, &message(Kind::Gossip)), Err(Malformed), "of datagrams");
        let mut endless = fresh();
        endless.take(A, &message(Kind::Digest(digest(1)))).unwrap();
        let full = crate::Update {
            member: crate::Named { number: A, life: 1 },
            incarnation: 0,
            standing: crate::Standing::Alive,
        };
        let whole = Message { updates: vec![full; MOST_IN_WHOLE], ..message(Kind::Whole) };
        let taken = (0..100).take_while(|_| endless.take(A, &whole).is_ok()).count();
        assert_eq!(taken, MOST_MESSAGES as usize);
        assert!(whole.encode().len() + HEADER_BYTES + TAG_BYTES <= MAX_STREAM_FRAME);
    }
}
