//! All sandboxes of this host, and the endpoints that are yet to be released; the same on disk. Knows: when a change
//! has reached the disk. Must not know: what a change means.

use super::record::Sandbox;
use crate::WorkerError;
use crate::two_slots::TwoSlots;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{EndpointId, SandboxId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The form of the file.
const VERSION: u32 = 1;
/// A disk that does not take a write in this time is given up on by whoever waits for it.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    version: u32,
    pub(crate) sandboxes: BTreeMap<SandboxId, Sandbox>,
    /// Not used any more, but a manager may still hold them for this node.
    pub(crate) releasing: BTreeSet<EndpointId>,
}

/// Changes are made in memory at once; [`Store::saved`] waits until they are on disk. One writer writes the newest
/// contents, so that many changes at a time cost one file.
pub(crate) struct Store {
    path: PathBuf,
    /// Held while it is written.
    file: Mutex<TwoSlots>,
    contents: Mutex<(Contents, Changes)>,
    /// Tells of changes. Never written while the contents are locked: those who wait look at the contents while they
    /// hold this one.
    changed: watch::Sender<Changes>,
    written: watch::Sender<Written>,
}

/// Counts changes.
type Changes = u64;

#[derive(Clone, Default)]
struct Written {
    change: Changes,
    /// Why the last attempt failed, and which change it was to reach.
    failed: Option<(u64, Arc<str>)>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { version: VERSION, sandboxes: BTreeMap::new(), releasing: BTreeSet::new() }
    }
}

/// The first releases kept the same contents in a file that was replaced as a whole: after an upgrade, what runs is
/// still on that list.
fn take_over(file: &mut TwoSlots) -> io::Result<Option<Vec<u8>>> {
    let former = file.path().with_extension("json");
    let bytes = match std::fs::read(&former) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    file.write(&bytes)?;
    std::fs::remove_file(former)?;
    Ok(Some(bytes))
}

pub(super) fn decode(bytes: &[u8]) -> Result<Contents, String> {
    let contents: Contents = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if contents.version != VERSION {
        return Err(format!("its form is {}, this version knows {VERSION}", contents.version));
    }
    Ok(contents)
}

impl Store {
    /// A file that cannot be read stops the worker: what it says is true of the kernel, and guessing would orphan it.
    pub(crate) fn load(path: PathBuf) -> Result<Self, WorkerError> {
        let wrong = |why: String| {
            WorkerError::Internal(format!(
                "the list of sandboxes in {} cannot be used: {why}. If the sandboxes are gone, remove the file",
                path.display()
            ))
        };
        let (mut file, held) = TwoSlots::load(path.clone()).map_err(|e| wrong(e.to_string()))?;
        let held = match held {
            None => take_over(&mut file).map_err(|e| wrong(e.to_string()))?,
            held => held,
        };
        let contents = match held {
            None => Contents::default(),
            Some(bytes) => decode(&bytes).map_err(wrong)?,
        };
        Ok(Self {
            path,
            file: Mutex::new(file),
            contents: Mutex::new((contents, 0)),
            changed: watch::Sender::new(0),
            written: watch::Sender::new(Written::default()),
        })
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&Contents) -> T) -> T {
        look(&self.contents.lock().0)
    }

    /// Changes the contents in memory; on disk they are with the next change. For what a restart may forget.
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> T {
        change(&mut self.contents.lock().0)
    }

    /// Changes the contents; what `change` returns, and what to hand to [`Store::saved`].
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> (T, u64) {
        let (answer, number) = {
            let mut held = self.contents.lock();
            held.1 += 1;
            (change(&mut held.0), held.1)
        };
        self.changed.send_if_modified(|newest| {
            let newer = number > *newest;
            *newest = number.max(*newest);
            newer
        });
        (answer, number)
    }

    pub(crate) fn get(&self, id: SandboxId) -> Option<Sandbox> {
        self.read(|contents| contents.sandboxes.get(&id).cloned())
    }

    /// Changes one sandbox; `None` when it is gone.
    pub(crate) fn update<T>(
        &self,
        id: SandboxId,
        change: impl FnOnce(&mut Sandbox) -> T,
    ) -> (Option<T>, u64) {
        self.change(|contents| contents.sandboxes.get_mut(&id).map(change))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until that change is on disk.
    pub(crate) async fn saved(&self, change: u64) -> Result<(), WorkerError> {
        let mut written = self.written.subscribe();
        let settled =
            |w: &Written| w.change >= change || w.failed.as_ref().is_some_and(|(at, _)| *at >= change);
        let waited = tokio::time::timeout(DEADLINE, written.wait_for(settled)).await;
        let why = match waited {
            Ok(Ok(written)) if written.change >= change => return Ok(()),
            Ok(Ok(written)) => written.failed.as_ref().map_or_else(String::new, |(_, why)| why.to_string()),
            Ok(Err(_)) => "the worker is stopping".into(),
            Err(_) => format!("the disk did not answer within {} s", DEADLINE.as_secs()),
        };
        Err(WorkerError::Internal(format!("could not write {}: {why}", self.path.display())))
    }

    /// Writes what changes, until stopped; then a last time.
    pub(crate) async fn write_changes(self: Arc<Self>, stop: CancellationToken) {
        let mut changed = self.changed.subscribe();
        // What was changed before this task had its first turn.
        changed.mark_changed();
        loop {
            let stopped = tokio::select! {
                news = changed.changed() => news.is_err(),
                () = stop.cancelled() => true,
            };
            let newest = *changed.borrow_and_update();
            if newest > self.written.borrow().change {
                self.clone().write(newest).await;
            }
            if stopped {
                return;
            }
        }
    }

    async fn write(self: Arc<Self>, newest: u64) {
        let store = self.clone();
        let write = move || {
            let bytes = store.read(serde_json::to_vec).map_err(std::io::Error::other)?;
            store.file.lock().write(&bytes)
        };
        let result =
            tokio::task::spawn_blocking(write).await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        self.written.send_modify(|written| match result {
            Ok(()) => *written = Written { change: newest, failed: None },
            Err(e) => {
                tracing::error!("could not write {}: {e}", self.path.display());
                written.failed = Some((newest, e.to_string().into()));
            }
        });
    }
}

/// The endpoints this node holds: what it registers with. Those on their way back are not among them.
pub(crate) fn held_endpoints(contents: &Contents) -> Vec<EndpointId> {
    contents.sandboxes.values().flat_map(|sandbox| &sandbox.links).map(|link| link.endpoint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_model::Id;

    fn id(n: u16) -> EndpointId {
        let [a, b] = n.to_be_bytes();
        Id::from_random([a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    }

    fn started(path: &std::path::Path) -> (Arc<Store>, CancellationToken, tokio::task::JoinHandle<()>) {
        let (store, stop) = (Arc::new(Store::load(path.into()).unwrap()), CancellationToken::new());
        let writer = tokio::spawn(store.clone().write_changes(stop.clone()));
        (store, stop, writer)
    }

    #[tokio::test]
    async fn what_was_said_to_be_saved_is_there_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sandboxes");
        let (store, _stop, _writer) = started(&path);
        for n in 0..200 {
            let ((), change) = store.change(|c| assert!(c.releasing.insert(id(n))));
            // A crash is a load of the file while the writer goes on.
            if n % 3 == 0 {
                store.saved(change).await.unwrap();
                let seen = Store::load(path.clone()).unwrap();
                assert!(seen.read(|c| (0..=n).all(|m| c.releasing.contains(&id(m)))), "{n}");
            }
        }
    }

    #[tokio::test]
    async fn the_last_change_is_written_on_stop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sandboxes");
        let (store, stop, writer) = started(&path);
        store.change(|c| assert!(c.releasing.insert(id(7))));
        stop.cancel();
        writer.await.unwrap();
        assert!(Store::load(path).unwrap().read(|c| c.releasing.contains(&id(7))));
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_an_error_and_the_next_write_may_work() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("worker");
        let (store, _stop, _writer) = started(&folder.join("sandboxes"));
        let ((), change) = store.change(|c| assert!(c.releasing.insert(id(1))));
        let error = store.saved(change).await.unwrap_err();
        assert!(error.to_string().contains("could not write"), "{error}");
        std::fs::create_dir(&folder).unwrap();
        let ((), change) = store.change(|c| assert!(c.releasing.insert(id(2))));
        store.saved(change).await.unwrap();
    }

    #[test]
    fn f33_what_the_first_releases_wrote_is_taken_over_once() {
        let dir = tempfile::tempdir().unwrap();
        let (path, former) = (dir.path().join("sandboxes"), dir.path().join("sandboxes.json"));
        let contents = Contents { releasing: [id(7)].into(), ..Contents::default() };
        std::fs::write(&former, serde_json::to_vec(&contents).unwrap()).unwrap();
        for _ in 0..2 {
            assert!(Store::load(path.clone()).unwrap().read(|c| *c == contents));
            assert!(!former.exists());
        }
    }

    #[test]
    fn a_half_written_file_beside_it_does_no_harm_and_a_broken_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sandboxes");
        std::fs::write(dir.path().join("sandboxes.new"), b"{\"ver").unwrap();
        assert!(Store::load(path.clone()).is_ok());
        std::fs::write(&path, b"garbage").unwrap();
        let error = Store::load(path.clone()).err().unwrap().to_string();
        assert!(error.contains("sandboxes"), "{error}");
        for wrong in ["{\"version\":1,\"sandb", "{\"version\":9,\"sandboxes\":{},\"releasing\":[]}"] {
            TwoSlots::new(path.clone()).write(wrong.as_bytes()).unwrap();
            assert!(Store::load(path.clone()).is_err());
        }
    }
}
