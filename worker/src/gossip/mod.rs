//! Gossip on this host: the one task around `swarm_gossip`, which decides. Must not make, move or delete anything by it.

mod boot;
pub mod fuzz;
mod given;
mod liveness;
mod member;
mod ring;
mod streams;
mod task;
#[cfg(test)]
mod tests;
mod told;

pub use liveness::Hearing;
pub(crate) use liveness::Liveness;
pub use ring::{GossipKey, Ring};
pub(crate) use task::run;
