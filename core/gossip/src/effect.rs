//! What a member wants done, and what it thinks of others, as values. Must not know how either comes about.

use crate::frame::Number;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// What one member thinks of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nobody says otherwise.
    Alive,
    Suspect,
    Down,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// To be sealed for `to` and sent.
    Send {
        to: Number,
        addr: SocketAddr,
        message: Vec<u8>,
    },
    /// A stream to be opened to `with`, over which both tell all they know where that differs.
    Exchange {
        with: Number,
        addr: SocketAddr,
    },
    Verdict {
        of: Number,
        verdict: Verdict,
    },
    /// `of` is asked whether it is there by what is sent next.
    Probe {
        of: Number,
    },
    /// And has answered itself.
    Answer {
        of: Number,
    },
    /// The first that is known of `of` but its place on the roster: until then it counts as alive unheard.
    Met {
        of: Number,
    },
    /// This member itself asked `of`, and had others ask, and there was no answer. Holds until `of` is alive again.
    Unanswered {
        of: Number,
    },
}
