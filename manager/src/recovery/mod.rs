//! A cluster that goes on with one manager, and those who belong to what it was before.
//! Knows: epochs, and which of two survivors knows more. Must not know: what the state holds.

mod restart;
mod survey;

pub use restart::{RecoverError, Recovered, Survivor, recover};
pub use survey::{RecoveryService, can_do_without, epoch, knows_more, missing, others, own, superseded};
