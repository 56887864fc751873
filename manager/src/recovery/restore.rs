//! What a backup holds becomes the past of a cluster that goes on with a new manager.
//! Knows: opening it, and asking after those who managed the cluster then. Must not know: where the file came from.

use super::succession::{Past, RecoverError, Recovered, Successor, succeed};
use super::survey::ask;
use crate::backup::{BackupError, Contents, Made, Passphrase, open};
use crate::config::ManagerConfig;
use crate::links::Links;
use swarm_identity::{Credentials, Dialler};
use swarm_model::{Epoch, ManagerPeer};
use swarm_proto::v1;
use swarm_state::State;

/// An opened backup, its state not yet in anybody's place.
pub struct Restored {
    pub made: Made,
    pub state: State,
}

/// A manager of the cluster as it was when the backup was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    pub peer: ManagerPeer,
    pub hostname: String,
}

impl Restored {
    /// Checks everything there is to check. Blocks for a good part of a second.
    pub fn open(file: &[u8], passphrase: &Passphrase) -> Result<Self, BackupError> {
        let Contents { made, state } = Contents::decode(&open(file, passphrase)?)?;
        Ok(Self { made, state })
    }

    pub fn managers(&self) -> Vec<Former> {
        let former = |peer: ManagerPeer| {
            let hostname = self.state.node(&peer.node)?.hostname.clone();
            Some(Former { peer, hostname })
        };
        self.state.managers().into_iter().filter_map(former).collect()
    }
}

/// Makes a Raft of the new manager alone, whose state is the backup's.
pub async fn restore(
    config: &ManagerConfig,
    restored: Restored,
    newcomer: &Successor,
) -> Result<Recovered, RecoverError> {
    let index = restored.state.revision();
    succeed(config, Past { state: restored.state, index, term: restored.made.term }, newcomer).await
}

/// Those of them that answer: the cluster the backup is of still lives, or a part of it.
/// Whoever restores lives in `epoch`, which is none of theirs.
pub async fn still_there(credentials: Credentials, epoch: Epoch, managers: Vec<Former>) -> Vec<Former> {
    let links = Links::new(Dialler::new(credentials));
    let asked = managers.into_iter().map(|former| {
        let (links, request) = (&links, v1::SurveyRequest { epoch: epoch.as_u64() });
        async move { ask(links, &former.peer, request).await.map(|_| former) }
    });
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}
