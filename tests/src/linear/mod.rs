//! Judging what concurrent callers saw: recorded histories, and whether they are linearizable, key by key (Herlihy and
//! Wing 1990: an object is linearizable exactly when each of its parts is).
//! Knows calls, their times and their answers; must not know who was called, nor how.

mod check;
mod history;
mod search;
mod slot;

pub use check::{Broken, Judged, judge};
pub use history::{Call, History, Returned};
pub use search::{Interval, Spec, Verdict, search};
pub use slot::{Answer, Op, Slot};
