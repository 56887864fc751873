//! Managers as they run: real Raft on disk, real TLS on loopback, all in one process.
//! Knows: the crate's public API and the wire. Must not know: anything inside.

mod access;
mod admission;
mod dispatcher;
mod failover;
mod golden;
mod harness;
mod one;
mod poll;
mod removed;
mod rotation;
mod sessions;
mod skew;
mod three;
