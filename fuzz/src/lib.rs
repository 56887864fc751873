//! Where bytes from outside come in, each as a plain function that takes any bytes, must come back, and asserts what must
//! hold of whatever was made of them. `make fuzz` looks for bytes with which one does not; `tests/corpus.rs` runs each
//! over its corpus.
//!
//! Knows: which doors there are. Must not know: fuzzers.
#![forbid(unsafe_code)]

mod admission;
mod replicated;

pub use admission::{csr, token};
pub use replicated::{entries, snapshot};
pub use swarm_raft::fuzz::log_record;
pub use swarm_worker::fuzz::{
    assignment_chain, assignment_file, dns_query, gossip_frame, netlink_reply, sandbox_file, slots,
};

/// A manager's log: the record, and the changes in it as they are applied.
pub fn log(bytes: &[u8]) {
    log_record(bytes);
    entries(bytes);
}

/// The files a worker keeps.
pub fn state_file(bytes: &[u8]) {
    slots(bytes);
    sandbox_file(bytes);
    assignment_file(bytes);
}

/// A target's name and the target.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, by the names of their corpora and of the programs in `run/`.
pub const TARGETS: [Target; 9] = [
    ("token", token),
    ("csr", csr),
    ("dns_query", dns_query),
    ("assignment_chain", assignment_chain),
    ("log_record", log),
    ("snapshot", snapshot),
    ("state_file", state_file),
    ("netlink_reply", netlink_reply),
    ("gossip_frame", gossip_frame),
];
