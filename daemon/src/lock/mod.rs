//! The lock of this manager's files: what is sealed with the cluster's unlock key, and what a locked manager still does.
//! Knows the order that a crash at any point survives; must not know who decides on locking.

mod follow;
mod keys;
mod locked;

pub use follow::{follow, settled};
pub use keys::{Held, Keys, UnlockError, file as key_file, is_locked};
pub use locked::{Locked, SENTENCE, enter, unlock};
