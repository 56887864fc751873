//! A cluster that goes on with one manager, a survivor or a new one, and those who belong to what it was before.
//! Knows: epochs, and which of two survivors knows more. Must not know: what the state holds.

mod alone;
mod kept;
mod lookout;
mod met;
mod restart;
mod restore;
mod succession;
mod survey;

pub use alone::{Others, may_go_alone};
pub use kept::followed;
pub use lookout::look_out;
pub use met::Met;
pub use restart::recover;
pub use restore::{Former, Restored, restore, still_there};
pub use succession::{RecoverError, Recovered, Successor};
pub use survey::{
    NoLeader, RecoveryService, can_do_without, features, hear, hear_past, lineage, lineage_of, look,
    make_sure, no_leader, others, request, superseded, those,
};
