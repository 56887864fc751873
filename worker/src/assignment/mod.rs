//! What this node has been assigned, in memory and on disk. Knows: the newest of it and who waits for newer.
//! Must not know: where it came from.

mod disk;
pub(crate) mod fuzz;
mod held;

pub(crate) use disk::{keep, load};
pub(crate) use held::{Assignments, Expected};
