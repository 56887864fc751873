//! Real nodes in one process, talking over real gRPC on loopback, with wires that can be cut.

mod elections;
mod membership;
mod refusals;
mod rig;
