//! The last good assignment on disk, so that a host starts into its networks without a manager.
//! Knows: the file's form. Must not know: what is done with it.

use super::Assignments;
use crate::two_slots::TwoSlots;
use parking_lot::Mutex;
use prost::Message;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_model::Assigned;
use swarm_proto::v1;
use tokio_util::sync::CancellationToken;

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

/// Without what this host encrypts with: the kernel has the keys that are used, and who starts without a manager could use
/// no other, because nobody would tell its peers.
pub(super) fn encode(assigned: &Assigned) -> Vec<u8> {
    let mut whole = v1::CompleteAssignment::from(assigned);
    whole.pairs.clear();
    whole.encode_to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Assigned, String> {
    let whole = v1::CompleteAssignment::decode(bytes).map_err(|e| e.to_string())?;
    Assigned::try_from(whole).map_err(|e| e.to_string())
}

/// The file and the assignment in it. A file that cannot be used is passed over with a warning: the next session brings
/// the whole anew, and until then nothing is taken out of the kernel.
pub(crate) fn load(path: &Path) -> (TwoSlots, Option<Assigned>) {
    let loaded = match TwoSlots::load(path.to_owned()) {
        Ok((file, held)) => held.map(|bytes| decode(&bytes)).transpose().map(|assigned| (file, assigned)),
        Err(e) => Err(e.to_string()),
    };
    loaded.unwrap_or_else(|why| {
        tracing::warn!("the last assignment in {} is of no use: {why}", path.display());
        (TwoSlots::new(path.to_owned()), None)
    })
}

/// Keeps the file up with what is held from now on, until stopped; then writes a last time.
pub(crate) fn keep(
    assignments: Arc<Assignments>,
    file: TwoSlots,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let (mut watch, file) = (assignments.watch(), Arc::new(Mutex::new(file)));
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
                match save(assignments.clone(), file.clone()).await {
                    Ok(length) => {
                        written = newest;
                        assignments.written.send_replace(newest);
                        pause = debt.pause(length, last.elapsed());
                        last = Instant::now();
                    }
                    Err(e) => tracing::warn!(
                        "could not write the assignment to {}: {e}",
                        file.lock().path().display()
                    ),
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
async fn save(assignments: Arc<Assignments>, file: Arc<Mutex<TwoSlots>>) -> std::io::Result<usize> {
    let write = move || {
        let bytes = assignments.read(encode);
        file.lock().write(&bytes).map(|()| bytes.len())
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
        let keeper = tokio::spawn(keep(held.clone(), load(&path).0, stop.clone()));
        held.take(swarm_model::Assignment::Complete(assigned())).unwrap();
        stop.cancel();
        keeper.await.unwrap();
        assert_eq!(load(&path).1, Some(assigned()));
        for wrong in [&b"garbage"[..], &[0; 8192]] {
            std::fs::write(&path, wrong).unwrap();
            assert_eq!(load(&path).1, None);
        }
        TwoSlots::new(path.clone()).write(b"no assignment").unwrap();
        assert_eq!(load(&path).1, None);
    }
}
