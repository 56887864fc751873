//! Verbs about the cluster as a whole: its root CA, what happens in it.

pub mod ca;
pub mod events;
mod progress;
