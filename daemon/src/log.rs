//! Where log lines go: stderr, as text or JSON, through a thread of its own with a bounded queue, so that nobody
//! waits for whoever reads them. When the queue is full, lines are dropped.

use crate::args::LogFormat;
use anyhow::Context;
use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

const QUEUED_LINES: usize = 4096;

/// What a level means.
///
/// # Errors
/// It is none.
pub fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    // A lone word that is no level would be taken for a module of that name, and everything else be silent.
    let lone_word = !level.contains(['=', ',']) && level.parse::<LevelFilter>().is_err();
    let directives = if lone_word { "=".into() } else { directives(level) };
    EnvFilter::builder().parse(directives).with_context(|| {
        format!("log level {level:?} is not known: expected error, warn, info, debug or trace")
    })
}

/// # Errors
/// A subscriber is set already.
pub fn start(format: LogFormat, filter: EnvFilter) -> anyhow::Result<()> {
    let lines = Lines::start();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).with_ansi(false);
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(|e| anyhow::anyhow!("cannot start logging: {e}"))
}

/// A bare level is meant for us; what libraries say at that level is for whoever asks for it by name. `openraft::raft` tells
/// at level error that a call found Raft ended, as whoever calls while it is being stopped does; the caller is told anyway.
fn directives(level: &str) -> String {
    match level {
        "error" | "warn" => level.to_owned(),
        "info" | "debug" | "trace" => {
            format!(
                "{level},openraft=error,openraft::raft=off,h2=warn,hyper=warn,tower=warn,rustls=warn,sled=warn"
            )
        }
        filter => filter.to_owned(),
    }
}

/// One line, sent off when it is complete.
#[derive(Clone)]
struct Lines(SyncSender<Vec<u8>>);

impl Lines {
    fn start() -> Self {
        let (queue, lines) = sync_channel::<Vec<u8>>(QUEUED_LINES);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || lines.iter().for_each(|line| drop(io::stderr().write_all(&line))))
            .map_or_else(|_| (), drop);
        Self(queue)
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.0.try_send(line.to_vec()) {
            Ok(()) | Err(TrySendError::Full(_)) => Ok(line.len()),
            Err(TrySendError::Disconnected(_)) => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
