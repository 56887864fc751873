//! Real nodes in one process, talking over real gRPC on loopback, with wires that can be cut.

mod disk;
mod elections;
mod handover;
mod keys;
mod membership;
mod recovery;
mod refusals;
mod rig;
