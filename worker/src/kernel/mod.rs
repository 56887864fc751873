//! The hands: netlink, nftables and namespaces, each call one thin translation of a step or a question.
//! Knows: message formats. Must not know: what should be there, or when to look.

mod facts;

pub use facts::FactsWatch;
