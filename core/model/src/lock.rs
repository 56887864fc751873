//! The key that locks the managers' files.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The unlock key as an operator types it (`SWMKEY-1-…`). Secret; replicated so that every manager can lock its files.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnlockSecret(pub String);

impl fmt::Debug for UnlockSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockSecret(…)")
    }
}
