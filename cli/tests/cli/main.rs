//! `swarmctl` as a user runs it, against a daemon that is a stage set: it speaks on a real socket and decides nothing.

mod backup;
mod daemon;
mod data;
mod failures;
mod golden;
mod sandboxes;
