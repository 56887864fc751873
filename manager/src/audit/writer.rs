//! The thread that writes the audit log: which line goes into which file, and what is said of lines that are not there.
//! Knows: files and counts. Must not know: calls.

use super::file::{Files, Limits};
use super::record::missing;
use super::{Message, Missed, OTHERS};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long lines gather after some have been written; the first after a rest is written at once.
const GATHER: Duration = Duration::from_millis(3);
/// Lines in one write.
const MOST_AT_ONCE: usize = 64;
/// Between two times that refusals which are not written are counted in the file.
const COUNT_EVERY: Duration = Duration::from_secs(1);

pub struct Writer {
    operators: Sheet,
    others: Sheet,
    missed: Arc<Missed>,
    counted: Option<Instant>,
}

/// One set of files.
struct Sheet {
    files: Files,
    /// The last write did not succeed, and that was said.
    failed: bool,
}

/// What is to be written next.
#[derive(Default)]
struct Batch {
    operators: Vec<String>,
    others: Vec<String>,
    flushed: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn take(&mut self, message: Message) {
        match message {
            Message::Record(record) if record.stands_apart() => self.others.push(record.line()),
            Message::Record(record) => self.operators.push(record.line()),
            Message::Flush(done) => self.flushed.push(done),
        }
    }

    fn lines(&self) -> usize {
        self.operators.len() + self.others.len()
    }
}

impl Writer {
    pub fn new(dir: &Path, name: &'static str, missed: Arc<Missed>) -> Self {
        let sheet =
            |name| Sheet { files: Files::new(dir.to_owned(), name, Limits::default()), failed: false };
        Self { operators: sheet(name), others: sheet(OTHERS), missed, counted: None }
    }

    /// Until the last sender is gone. What waits is written together.
    pub fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(first) = messages.blocking_recv() {
            let mut batch = Batch::default();
            let mut next = Some(first);
            while let Some(message) = next {
                batch.take(message);
                next = if batch.lines() < MOST_AT_ONCE { messages.try_recv().ok() } else { None };
            }
            let lines = batch.lines();
            self.put(batch);
            if (1..MOST_AT_ONCE).contains(&lines) {
                gather();
            }
        }
    }

    fn put(&mut self, batch: Batch) {
        self.say_what_is_lost();
        self.say_who_was_refused(!batch.flushed.is_empty());
        let missed = &self.missed;
        for (sheet, lines) in [(&mut self.operators, &batch.operators), (&mut self.others, &batch.others)] {
            let count = lines.len() as u64;
            if sheet.append(lines) {
                missed.written.fetch_add(count, Ordering::Relaxed);
            } else {
                missed.lose(count);
            }
        }
        for done in batch.flushed {
            // Whoever waited may have given up.
            let _ = done.send(());
        }
    }

    /// Until it is in the file, a number is kept.
    fn say_what_is_lost(&mut self) {
        let lost = self.missed.lost.load(Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        let line = missing(None, lost, "the audit log could not keep up, or its disk is full");
        if self.operators.append(&[line]) {
            self.missed.lost.fetch_sub(lost, Ordering::Relaxed);
        }
    }

    fn say_who_was_refused(&mut self, at_once: bool) {
        let now = Instant::now();
        if !at_once && self.counted.is_some_and(|at| now.saturating_duration_since(at) < COUNT_EVERY) {
            return;
        }
        self.counted = Some(now);
        let unsaid = self.missed.flood.lock().unsaid();
        let line = |(who, count): &(String, u64)| {
            missing(Some(who), *count, "refused more often than is written of it")
        };
        let lines: Vec<String> = unsaid.iter().map(line).collect();
        if self.others.append(&lines) {
            self.missed.flood.lock().said(&unsaid);
        }
    }
}

// Meanwhile a line wakes nobody: waking this thread costs more than writing.
#[allow(clippy::disallowed_methods)]
fn gather() {
    std::thread::sleep(GATHER);
}

impl Sheet {
    /// Whether the disk took them. When it did not, the daemon's own log says so once.
    fn append(&mut self, lines: &[String]) -> bool {
        if lines.is_empty() {
            return true;
        }
        let done = self.files.append(&lines.join("\n"));
        if let Err(error) = &done
            && !self.failed
        {
            let path = self.files.path();
            tracing::error!(%error, path = %path.display(), "the audit log cannot be written: its lines are counted as lost");
        }
        self.failed = done.is_err();
        done.is_ok()
    }
}
