//! What of other epochs a manager must know after a restart, beside its Raft's files and gone with them.
//! Knows: one small file. Must not know: what is concluded from it.

use crate::codec::{decode, encode};
use crate::member_file::write_whole;
use crate::recovery::met::Word;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;
use swarm_model::{Epoch, Kin, Lineage, NodeId};

const NAME: &str = "epochs";
/// Later epochs that were not followed; of more, the first are forgotten.
const MOST_STAYED: usize = 64;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The cluster went on without this manager, which is on its way out of what is kept here.
    #[serde(default)]
    pub follows: Option<Lineage>,
    /// On whose word; `None`: an earlier release did not write it down.
    #[serde(default)]
    pub word_of: Option<WordOf>,
    /// Later epochs met by managers that had a quorum of their own.
    #[serde(default)]
    pub stayed: Vec<Epoch>,
}

/// Whom a manager follows into a later epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WordOf {
    /// Nothing but another order takes that back.
    Operator,
    Manager(NodeId),
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

    pub fn follow(&mut self, later: Lineage, word_of: WordOf) {
        (self.follows, self.word_of) = (Some(later), Some(word_of));
    }

    /// Whether what is followed is not so by what the manager says on whose word it was.
    pub fn is_taken_back(&self, word: &dyn Fn(NodeId) -> Word) -> bool {
        let Some(follows) = &self.follows else { return false };
        match self.word_of {
            Some(WordOf::Operator) => false,
            Some(WordOf::Manager(node)) => match word(node) {
                Word::NoManager => true,
                Word::Silent => false,
                Word::Said(now) => !matches!(follows.sees(&now), Kin::Same | Kin::Later),
            },
            None => true,
        }
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
        let kept = Kept {
            follows: Some(Lineage::default().follow(7)),
            word_of: Some(WordOf::Manager(NodeId::from_random([1; 16]))),
            stayed: vec![Epoch::from_u64(1)],
        };
        kept.store(dir.path()).unwrap();
        assert_eq!(Kept::load(dir.path()), kept);
        assert_eq!(followed(dir.path()), kept.follows);
        fs::write(dir.path().join(NAME), "garbage").unwrap();
        assert_eq!(Kept::load(dir.path()), Kept::default());
    }
}
