//! What of other epochs a manager must know after a restart, beside its Raft's files and gone with them.
//! Knows: one small file. Must not know: what is concluded from it.

use crate::codec::{decode, encode};
use crate::member_file::write_whole;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;
use swarm_model::{Epoch, Lineage};

const NAME: &str = "epochs";
/// Later epochs that were not followed; of more, the first are forgotten.
const MOST_STAYED: usize = 64;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The cluster went on without this manager, which is on its way out of what is kept here.
    #[serde(default)]
    pub follows: Option<Lineage>,
    /// Later epochs met by managers that had a quorum of their own.
    #[serde(default)]
    pub stayed: Vec<Epoch>,
}

impl Kept {
    /// A file that cannot be read counts as none: what was met will be met again.
    pub fn load(dir: &Path) -> Self {
        let path = dir.join(NAME);
        let read = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error) => Err(error.to_string()),
            Ok(bytes) => decode("what was met of other epochs", &bytes).map_err(|e| e.to_string()),
        };
        read.unwrap_or_else(|reason: String| {
            tracing::warn!(path = %path.display(), reason, "this file is of no use and passed over");
            Self::default()
        })
    }

    pub fn store(&self, dir: &Path) -> io::Result<()> {
        let bytes = encode("what was met of other epochs", self).map_err(io::Error::other)?;
        write_whole(dir, NAME, &bytes)
    }

    pub fn stay(&mut self, epoch: Epoch) {
        if self.stayed.contains(&epoch) {
            return;
        }
        if self.stayed.len() == MOST_STAYED {
            self.stayed.remove(0);
        }
        self.stayed.push(epoch);
    }
}

/// The later epoch of its cluster that the manager with this directory of Raft was on its way to follow.
pub fn followed(dir: &Path) -> Option<Lineage> {
    Kept::load(dir).follows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_and_damage_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(followed(dir.path()), None);
        let kept = Kept { follows: Some(Lineage::default().follow(7)), stayed: vec![Epoch::from_u64(1)] };
        kept.store(dir.path()).unwrap();
        assert_eq!(Kept::load(dir.path()), kept);
        assert_eq!(followed(dir.path()), kept.follows);
        fs::write(dir.path().join(NAME), "garbage").unwrap();
        assert_eq!(Kept::load(dir.path()), Kept::default());
    }
}
