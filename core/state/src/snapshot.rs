//! The whole state as one value with a format version. Knows what is in a snapshot; must not know how it is
//! encoded, encrypted or stored.

use crate::State;
use crate::tables::Tables;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, de};

/// Version of the snapshot's shape. Raised when a reader of the version before would misread it; a field that an
/// old reader may ignore does not raise it.
pub const FORMAT: u32 = 1;

/// Cheap to make (pointers are copied), to be encoded elsewhere while the state goes on.
///
/// `format` stands first, so that a reader meets it before anything it might not understand. Encode as a map with
/// field names (`rmp_serde::to_vec_named`): fields added later are then ignored by older readers.
#[derive(Clone, Serialize, Deserialize)]
pub struct Snapshot {
    #[serde(deserialize_with = "supported")]
    format: u32,
    tables: Tables,
}

// The tables hold the CA's key: never printed.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("format", &self.format).finish_non_exhaustive()
    }
}

fn supported<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        FORMAT => Ok(FORMAT),
        found => Err(de::Error::custom(format_args!(
            "snapshot of format {found}, but this version reads format {FORMAT} only: run the version that wrote it"
        ))),
    }
}

/// A snapshot that can be read but whose content contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the snapshot contradicts itself ({}): it is damaged and must not be used; restore another one or join again",
    .problems.join("; ")
)]
pub struct SnapshotError {
    pub problems: Vec<String>,
}

impl State {
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { format: FORMAT, tables: self.tables.clone() }
    }

    /// Builds the indices and checks every invariant of the tables before anybody may rely on them.
    pub fn from_snapshot(snapshot: Snapshot) -> Result<Self, SnapshotError> {
        let state = Self::from_tables(snapshot.tables);
        state.check_tables().map_err(|problems| SnapshotError { problems })?;
        Ok(state)
    }
}
