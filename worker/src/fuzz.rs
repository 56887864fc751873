//! The doors by which bytes from outside come into the worker, for fuzzing: each takes any bytes and must come back, and
//! asserts what must hold of whatever it made of them. Knows nothing of where the bytes come from.

pub use crate::assignment::fuzz::{assignment_chain, assignment_file};
pub use crate::dns::fuzz::dns_query;
pub use crate::gossip::fuzz::gossip_frame;
pub use crate::kernel::fuzz::netlink_reply;
pub use crate::sandbox::fuzz::sandbox_file;
pub use crate::two_slots::slots;
