//! The name server of each sandbox, at 127.0.0.11 inside it. Knows: DNS messages, sockets, the host's resolvers.
//! Must not know: why a sandbox is on a network.
//!
//! Names of the sandbox's networks are answered here; every other name is asked of the host's resolvers, from the
//! daemon's own namespace. A sandbox whose networks are all internal gets NXDOMAIN instead: within its world the name does
//! not exist, and its programs need not wait to learn it.

mod forward;
pub(crate) mod fuzz;
mod message;
mod resolvers;
mod server;
mod tcp;
mod zones;

pub(crate) use forward::Forwarder;
pub(crate) use server::{Context, Names, serve};
pub(crate) use zones::Zones;
