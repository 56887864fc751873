//! What the end-to-end tests and the benchmarks drive the real programs with: hosts made of namespaces, daemons in
//! them, sandboxes, traffic. Knows the two programs only by their command line (see the contract in README.md and
//! `swarmctl help`); must not link against their insides.

pub mod capture;
pub mod decide;
pub mod dns;
pub mod host;
pub mod linear;
pub mod poll;
pub mod rng;
pub mod run;
pub mod sandbox;
pub mod shim;
pub mod space;
pub mod stream;
pub mod traffic;
pub mod view;
pub mod wire;
pub mod world;

pub use decide::{create, decides};
pub use host::{Daemon, Host};
pub use poll::{eventually, within};
pub use run::Output;
pub use sandbox::Sandbox;
pub use world::{Setup, World, scenario};
