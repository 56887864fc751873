//! The verb about the cluster's root CA.

pub mod ca;
mod progress;
