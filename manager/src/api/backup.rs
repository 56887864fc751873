//! Taking a backup while everything goes on. Knows: one applied state, taken at once and handed out piece by piece.
//! Must not know: how it is sealed, where it is put.

use crate::backup::{BackupError, Contents, Cost, Made, Passphrase, Sealer};
use crate::propose::now_ms;
use crate::seat::Seat;
use std::time::Duration;
use swarm_proto::v1::{BackupPart, BackupSummary, backup_part::Part};
use swarm_state::{Snapshot, State};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

pub type BackupStream = ReceiverStream<Result<BackupPart, Status>>;

/// Pieces made ahead of who reads them.
const AHEAD: usize = 2;
/// For one piece to be taken: who waits longer has lost interest, and others may want a backup.
const PIECE_DEADLINE: Duration = Duration::from_secs(30);

/// One backup at a time: each holds the whole state in memory, and the key's derivation takes 64 MiB more.
pub async fn backup(seat: &Seat, passphrase: Passphrase) -> Result<BackupStream, Status> {
    let turn = seat.backups.clone().try_acquire_owned().map_err(|_| {
        Status::resource_exhausted("another backup is being taken from this manager: wait until it is done")
    })?;
    let term = seat.raft.status().term;
    let taken = seat.applied.read(|state| Taken::of(state, term)).ok_or_else(super::no_cluster)?;
    let (parts, stream) = mpsc::channel(AHEAD);
    tokio::spawn(hand_out(taken, passphrase, parts, turn));
    Ok(ReceiverStream::new(stream))
}

/// The state at one moment, and what is said of it.
struct Taken {
    made: Made,
    state: Snapshot,
    summary: BackupSummary,
}

impl Taken {
    /// Copies pointers: the state goes on.
    fn of(state: &State, term: u64) -> Option<Self> {
        let cluster = state.cluster()?;
        let made = Made {
            state_format: swarm_state::FORMAT,
            feature_level: cluster.feature_level,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at_ms: now_ms(),
            term,
        };
        let summary = made.summary(state);
        Some(Self { made, state: state.snapshot(), summary })
    }

    fn seal(self, passphrase: &Passphrase) -> Result<(BackupSummary, Sealer), BackupError> {
        let plain = Contents::encode(&self.made, &self.state)?;
        let sealer = Sealer::new(plain, passphrase, Cost::NORMAL)?;
        Ok((BackupSummary { file_bytes: sealer.file_bytes(), ..self.summary }, sealer))
    }
}

async fn hand_out(
    taken: Taken,
    passphrase: Passphrase,
    parts: mpsc::Sender<Result<BackupPart, Status>>,
    _turn: OwnedSemaphorePermit,
) {
    let sealed = tokio::task::spawn_blocking(move || taken.seal(&passphrase)).await;
    let (summary, sealer) = match sealed.map_err(|_| BackupError::Seal).and_then(|sealed| sealed) {
        Ok(sealed) => sealed,
        Err(error) => {
            let _ = timeout(PIECE_DEADLINE, parts.send(Err(Status::internal(error.to_string())))).await;
            return;
        }
    };
    let summary = std::iter::once(Ok(Part::Summary(summary)));
    for part in summary.chain(sealer.map(|piece| piece.map(Part::Piece))) {
        let part = part.map(|part| BackupPart { part: Some(part) });
        let part = part.map_err(|error: BackupError| Status::internal(error.to_string()));
        if !matches!(timeout(PIECE_DEADLINE, parts.send(part)).await, Ok(Ok(()))) {
            return;
        }
    }
}
