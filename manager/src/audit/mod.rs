//! The audit log of this manager: who asked for which change, from where, and what came of it. One JSON line each.
//! Knows: the queue between the calls and the writer, and what is counted when it is full. Must not know: what a call does.
//!
//! No call waits for the log: the queue has a bound, and what does not fit is counted, and the count written. A line is
//! in the file moments after its call was answered; what the kernel had not written when the power went is lost.

mod file;
mod flood;
mod local;
mod open;
mod record;
mod what;

pub use local::{LocalAudit, LocalCaller};
pub use open::Opened;
pub use what::What;

use crate::applied::AppliedState;
use crate::gate::Door;
use crate::method::Method;
use file::{Files, Limits};
use flood::Flood;
use parking_lot::Mutex;
use record::Record;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tonic::Request;

/// Lines on their way to the file: some seconds of the busiest cluster.
const MOST_WAITING: usize = 8_192;
/// How long lines gather after some have been written; the first after a rest is written at once.
const GATHER: Duration = Duration::from_millis(3);
/// Lines in one write.
const MOST_AT_ONCE: usize = 64;
/// What was asked of this manager.
const MANAGERS: &str = "audit.log";
const FLUSH_DEADLINE: Duration = Duration::from_secs(1);

/// Cheap to clone; all clones are the same log.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Message>,
    missed: Arc<Missed>,
    flood: Arc<Mutex<Flood>>,
    applied: Arc<AppliedState>,
}

enum Message {
    Record(Box<Record>),
    Flush(oneshot::Sender<()>),
}

/// What is not in the log, and not yet said there.
#[derive(Default)]
struct Missed {
    /// The queue was full, or the disk.
    lost: AtomicU64,
    /// Lines in the file since the start, and lines that are not.
    written: AtomicU64,
    missing: AtomicU64,
    /// Strangers who were refused, beyond what is written of them.
    strangers: AtomicU64,
}

impl Audit {
    /// Writes below `dir`, which is made when the first line comes.
    pub fn start(dir: PathBuf, applied: Arc<AppliedState>) -> Self {
        Self::begin(dir, MANAGERS, applied)
    }

    fn begin(dir: PathBuf, name: &'static str, applied: Arc<AppliedState>) -> Self {
        let (queue, messages) = mpsc::channel(MOST_WAITING);
        let missed = Arc::new(Missed::default());
        let audit = Self { queue, missed: missed.clone(), flood: Arc::default(), applied };
        // A thread of its own: disks may take their time, and nobody waits for it when the process ends.
        let writer = std::thread::Builder::new().name("audit".to_owned());
        if let Err(error) =
            writer.spawn(move || write(messages, Files::new(dir, name, Limits::default()), &missed))
        {
            tracing::error!(%error, "the audit log cannot be written: its lines are counted as lost");
        }
        audit
    }

    /// Begins the record of a call. Whatever becomes of it, there will be a line.
    pub fn open<R: What>(&self, door: Door, method: Method, request: &Request<R>) -> Opened {
        let who = record::Who::of(door, request, &self.applied);
        Opened::new(self.clone(), who, method.name(), request.get_ref().what())
    }

    fn note(&self, record: Record) {
        if record.is_a_stranger_refused() && !self.flood.lock().allows(std::time::Instant::now()) {
            self.missed.strangers.fetch_add(1, Ordering::Relaxed);
            self.missed.missing.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.queue.try_send(Message::Record(Box::new(record))).is_err() {
            self.missed.lose(1);
        }
    }

    /// Lines written since the start, and lines that were not.
    pub fn counts(&self) -> (u64, u64) {
        (self.missed.written.load(Ordering::Relaxed), self.missed.missing.load(Ordering::Relaxed))
    }

    /// Everything noted before is in the file, or a second has passed.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                let _ = wait.await;
            }
        };
        let _ = tokio::time::timeout(FLUSH_DEADLINE, flushed).await;
    }
}

/// Until the last sender is gone. What waits is written together.
fn write(mut messages: mpsc::Receiver<Message>, mut files: Files, missed: &Missed) {
    let mut failed = false;
    while let Some(first) = messages.blocking_recv() {
        let (mut lines, mut flushed) = (missed.lines().collect::<Vec<_>>(), Vec::new());
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Record(record) => lines.push(record.line()),
                Message::Flush(done) => flushed.push(done),
            }
            next = if lines.len() < MOST_AT_ONCE { messages.try_recv().ok() } else { None };
        }
        put(&mut files, &lines, missed, &mut failed);
        for done in flushed {
            // Whoever waited may have given up.
            let _ = done.send(());
        }
        if (1..MOST_AT_ONCE).contains(&lines.len()) {
            gather();
        }
    }
}

// Meanwhile a line wakes nobody: waking this thread costs more than writing.
#[allow(clippy::disallowed_methods)]
fn gather() {
    std::thread::sleep(GATHER);
}

/// Lines that the disk does not take are lost; the first time, the daemon's own log says so.
fn put(files: &mut Files, lines: &[String], missed: &Missed, failed: &mut bool) {
    if lines.is_empty() {
        return;
    }
    let count = lines.len() as u64;
    match files.append(&lines.join("\n")) {
        Ok(()) => {
            missed.written.fetch_add(count, Ordering::Relaxed);
            *failed = false;
        }
        Err(error) => {
            missed.lose(count);
            if !std::mem::replace(failed, true) {
                tracing::error!(%error, path = %files.path().display(), "the audit log cannot be written: its lines are counted as lost");
            }
        }
    }
}

impl Missed {
    fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
        self.missing.fetch_add(lines, Ordering::Relaxed);
    }

    fn lines(&self) -> impl Iterator<Item = String> + use<> {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let strangers = self.strangers.swap(0, Ordering::Relaxed);
        let counts = [
            (lost, "the audit log could not keep up, or its disk is full"),
            (strangers, "strangers were refused more often than is written of them"),
        ];
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, why)| record::missing(count, why))
    }
}

#[cfg(test)]
mod tests;
