//! The hands: netlink, nftables and namespaces, each call one thin translation of a step or a question.
//! Knows: message formats. Must not know: what should be there, or when to look.

mod entries;
mod error;
mod events;
mod execute;
mod facts;
mod filter;
pub(crate) mod fuzz;
mod gate;
mod messages;
mod nft;
mod observe;
mod place;
mod ports;
pub(crate) mod probe;
mod read;
mod socket;
mod sysctl;
mod uapi;
mod wire;
pub(crate) mod xfrm;

pub use error::KernelError;
pub use events::{EventSocket, Heard, Source};
pub use execute::Failed;
pub use facts::FactsWatch;
pub use gate::Gate;
pub use place::Place;
pub(crate) use socket::NetlinkSocket;
