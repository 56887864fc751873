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
mod writer;

pub use local::{LocalAudit, LocalCaller};
pub use open::Opened;
pub use what::What;

use crate::applied::AppliedState;
use crate::gate::Door;
use crate::method::Method;
use flood::{Flood, Pace};
use parking_lot::Mutex;
use record::{Kind, Record};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tonic::Request;
use writer::Writer;

/// Lines on their way to the file: some seconds of the busiest cluster.
const MOST_WAITING: usize = 8_192;
const FLUSH_DEADLINE: Duration = Duration::from_secs(1);

/// What operators do, and every admission. The second file is for what nodes ask and what was refused to somebody from
/// outside: those are as many as it pleases whoever holds one node's key, and must not push the first kind out.
const OPERATORS: &str = "audit.log";
const OTHERS: &str = "others.log";
/// Refusals of all strangers together.
const STRANGERS: Pace = Pace { burst: 200.0, rate: 5.0 };
/// Refusals of one node or user.
const MEMBER: Pace = Pace { burst: 200.0, rate: 1.0 };

/// Cheap to clone; all clones are the same log.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Message>,
    missed: Arc<Missed>,
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
    /// Callers that were refused, beyond what is written of them.
    flood: Mutex<Flood>,
    /// Lines in the file since the start, and lines that are not.
    written: AtomicU64,
    missing: AtomicU64,
}

impl Audit {
    /// Writes below `dir`, which is made when the first line comes.
    pub fn start(dir: PathBuf, applied: Arc<AppliedState>) -> Self {
        Self::begin(dir, OPERATORS, applied)
    }

    fn begin(dir: PathBuf, name: &'static str, applied: Arc<AppliedState>) -> Self {
        let (queue, messages) = mpsc::channel(MOST_WAITING);
        let missed = Arc::new(Missed::default());
        let audit = Self { queue, missed: missed.clone(), applied };
        // A thread of its own: disks may take their time, and nobody waits for it when the process ends.
        let writer = std::thread::Builder::new().name("audit".to_owned());
        if let Err(error) = writer.spawn(move || Writer::new(&dir, name, missed).run(messages)) {
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
        if record.may_be_counted() && !self.missed.may_write(&record) {
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

impl Missed {
    fn may_write(&self, record: &Record) -> bool {
        let (who, pace) = match record.who.kind {
            Kind::Stranger => ("strangers", STRANGERS),
            Kind::Local | Kind::User | Kind::Node => (record.who.who.as_str(), MEMBER),
        };
        self.flood.lock().allows(who, pace, Instant::now())
    }

    fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
        self.missing.fetch_add(lines, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
