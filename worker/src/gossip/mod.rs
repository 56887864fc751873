//! Gossip on this host: the one task around `swarm_gossip`, which decides. Must not make, move or delete anything by it.

pub mod fuzz;
mod ring;

pub use ring::{GossipKey, Ring};
