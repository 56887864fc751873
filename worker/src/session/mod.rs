//! The session with a manager: how assignments get here. Knows: which manager next, when to try again, what a session
//! says and hears. Must not know: what is done with an assignment.

mod candidates;
mod managers;
mod pace;
mod round;
mod stream;
mod troubles;

pub(crate) use managers::{Managers, Route};
pub(crate) use stream::{Registration, follow};
