//! The last good assignment on disk, so that a host starts into its networks without a manager.
//! Knows: the file's form. Must not know: what is done with it.

use super::Assignments;
use crate::atomic_file;
use prost::Message;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_model::Assigned;
use swarm_proto::v1;
use tokio_util::sync::CancellationToken;

/// First line; the number is the form's. SHA-256 of the rest follows, then a `CompleteAssignment`.
const HEADER: &[u8] = b"swarmd assignment 1\n";

/// A file is written again at the earliest after this: bursts of changes cost few files.
const PAUSE: Duration = Duration::from_millis(2);
/// So many bytes are written a second for long, and as many at once after quiet: large files are not written all the
/// time, and one that was not written lately waits for nothing.
const BYTES_A_SECOND: u32 = 8 << 20;

/// How much was written lately: the time the disk has been promised, less what has passed since.
#[derive(Default)]
struct Debt(Duration);

impl Debt {
    /// A file was written, `since` after the one before; how long to let pass before the next.
    fn pause(&mut self, bytes: usize, since: Duration) -> Duration {
        let cost = Duration::from_secs_f64(bytes as f64 / f64::from(BYTES_A_SECOND));
        self.0 = self.0.saturating_sub(since) + cost;
        PAUSE.max(self.0.saturating_sub(Duration::from_secs(1)))
    }
}

fn encode(assigned: &Assigned) -> Vec<u8> {
    let body = v1::CompleteAssignment::from(assigned).encode_to_vec();
    let sum = digest(&SHA256, &body);
    [HEADER, sum.as_ref(), &body].concat()
}

fn decode(bytes: &[u8]) -> Result<Assigned, String> {
    let rest = bytes.strip_prefix(HEADER).ok_or("it is not of a form this version knows")?;
    let (sum, body) = rest.split_at_checked(SHA256_OUTPUT_LEN).ok_or("it is cut short")?;
    if digest(&SHA256, body).as_ref() != sum {
        return Err("its checksum does not match".into());
    }
    let whole = v1::CompleteAssignment::decode(body).map_err(|e| e.to_string())?;
    Assigned::try_from(whole).map_err(|e| e.to_string())
}

/// The assignment in the file. A file that cannot be used is passed over with a warning: the next session brings
/// the whole anew, and until then nothing is taken out of the kernel.
pub(crate) fn load(path: &Path) -> Option<Assigned> {
    let loaded = match atomic_file::read(path) {
        Ok(None) => return None,
        Ok(Some(bytes)) => decode(&bytes),
        Err(e) => Err(e.to_string()),
    };
    loaded
        .inspect_err(|why| tracing::warn!("the last assignment in {} is of no use: {why}", path.display()))
        .ok()
}

/// Keeps the file up with what is held from now on, until stopped; then writes a last time.
pub(crate) fn keep(
    assignments: Arc<Assignments>,
    path: PathBuf,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let mut watch = assignments.watch();
    // Looked at now and not at the task's first turn: what comes in between has to be written.
    let mut written = *watch.borrow_and_update();
    async move {
        let (mut debt, mut last) = (Debt::default(), Instant::now());
        loop {
            let stopped = tokio::select! {
                changed = watch.changed() => changed.is_err(),
                () = stop.cancelled() => true,
            };
            let newest = *watch.borrow_and_update();
            let mut pause = PAUSE;
            if newest != written {
                match save(assignments.clone(), path.clone()).await {
                    Ok(length) => {
                        written = newest;
                        assignments.written.send_replace(newest);
                        pause = debt.pause(length, last.elapsed());
                        last = Instant::now();
                    }
                    Err(e) => tracing::warn!("could not write {}: {e}", path.display()),
                }
            }
            if stopped {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

/// Returns how long the file is.
async fn save(assignments: Arc<Assignments>, path: PathBuf) -> std::io::Result<usize> {
    let write = move || {
        let bytes = assignments.read(encode);
        atomic_file::write(&path, &bytes).map(|()| bytes.len())
    };
    tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_model::{Id, ManagerPeer};

    fn assigned() -> Assigned {
        let peer = ManagerPeer { node: Id::from_random([7; 16]), addr: "192.0.2.1:2377".parse().unwrap() };
        Assigned { revision: 42, managers: vec![peer], ..Assigned::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(decode(&encode(&assigned())).unwrap(), assigned());
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let good = encode(&assigned());
        for end in 0..good.len() {
            assert!(decode(&good[..end]).is_err(), "cut at {end}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(decode(&bad).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn small_files_follow_at_once_and_large_ones_are_bounded() {
        let mut debt = Debt::default();
        for _ in 0..1_000 {
            assert_eq!(debt.pause(16 << 10, PAUSE), PAUSE);
        }
        let (mut debt, mut passed, mut files) = (Debt::default(), Duration::ZERO, 0_u32);
        let mut pause = Duration::ZERO;
        while passed < Duration::from_secs(60) {
            pause = debt.pause(1 << 20, pause);
            passed += pause;
            files += 1;
        }
        assert!(files * (1 << 20) / 61 <= BYTES_A_SECOND, "{files} files");
        // One that comes after a while of quiet does not wait for those before.
        assert_eq!(debt.pause(1 << 20, Duration::from_secs(1)), PAUSE);
    }

    #[tokio::test]
    async fn the_file_follows_and_is_written_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("assignment");
        let (held, stop) = (Arc::new(Assignments::new(None)), CancellationToken::new());
        let keeper = tokio::spawn(keep(held.clone(), path.clone(), stop.clone()));
        held.take(swarm_model::Assignment::Complete(assigned())).unwrap();
        stop.cancel();
        keeper.await.unwrap();
        assert_eq!(load(&path), Some(assigned()));
        std::fs::write(&path, b"garbage").unwrap();
        assert_eq!(load(&path), None);
    }
}
