//! The hands: netlink, nftables and namespaces, each call one thin translation of a step or a question.
//! Knows: message formats. Must not know: what should be there, or when to look.

mod entries;
mod error;
mod events;
mod execute;
mod facts;
mod filter;
pub(crate) mod fuzz;
mod messages;
mod nft;
mod observe;
mod place;
mod ports;
mod read;
mod socket;
mod sysctl;
mod uapi;
mod wire;

pub use error::KernelError;
pub use events::{EventSocket, Heard, Source};
pub use execute::Failed;
pub use facts::FactsWatch;
pub use place::Place;
