//! End-to-end tests: real daemons in namespaces, driven by `swarmctl` alone. Each test is named by the number of the
//! scenario it plays (S… and B…, listed in tests/README.md) or by the sentence of the contract it holds the programs to.
//! Needs root; knows nothing of the programs' insides.

mod addresses;
mod backup;
mod bad_input;
mod branches;
mod certificates;
mod clocks;
mod contract;
mod copies;
mod crowd;
mod data_plane;
mod disks;
mod encrypted;
mod events;
mod failover;
mod gossip;
mod harness;
mod hostile;
mod init;
mod join;
mod life;
mod limits;
mod locking;
mod managers;
mod mtu;
mod names;
mod networks;
mod operators;
mod partitions;
mod recovery;
mod repair;
mod roles;
mod secrets;
mod skew;
mod snapshots;
mod spoof;
mod subnets;
mod tokens;
mod unit;
mod zones;

/// Exit codes of the contract.
pub mod code {
    pub const FAILED: i32 = 1;
    pub const USAGE: i32 = 2;
    pub const NOT_FOUND: i32 = 3;
    pub const UNAVAILABLE: i32 = 4;
    pub const REFUSED: i32 = 5;
    /// `run` itself failed.
    pub const RUN_FAILED: i32 = 125;
    /// Bad input: whether the command line or the daemon found it out is not the contract's business.
    pub const BAD_INPUT: [i32; 2] = [FAILED, USAGE];
}
