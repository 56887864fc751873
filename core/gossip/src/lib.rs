//! Who is alive, as members tell each other without asking a manager. What comes of it is advice: it never makes, moves or
//! deletes anything.
//!
//! Knows: the frames members send each other, and whom they believe.
//! Must not know: sockets, clocks, randomness, ciphers. It is `no_std`, so they cannot compile here: time comes with each
//! event, what is to be sent and to be timed goes out as a value.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]
#![no_std]

extern crate alloc;

mod effect;
mod effects;
mod exchange;
pub mod frame;
mod gossip;
mod held;
mod inbox;
mod inner;
mod known;
pub mod message;
mod roster;
mod settings;
mod suspicion;
mod translate;
mod window;

pub use effect::{Effect, Verdict};
pub use exchange::{Exchange, Said};
pub use frame::{Aead, Header, Number, Outbox};
pub use gossip::Gossip;
pub use inbox::{Dropped, Inbox, Opened};
pub use message::{Accusation, Digest, Kind, Malformed, Message, Named, Standing, Update};
pub use roster::Roster;
pub use settings::Settings;
