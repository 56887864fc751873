//! Signals meant for the command that runs in the foreground. Knows which of them the terminal gives to the command
//! by itself; must not know what runs.

use crate::error::CliError;
use nix::sys::signal::Signal;
use std::fs::File;
use tokio::signal::unix::{self, SignalKind};

/// Takes over SIGINT, SIGQUIT, SIGTERM and SIGHUP for as long as this program runs.
pub struct Signals {
    int: unix::Signal,
    quit: unix::Signal,
    term: unix::Signal,
    hup: unix::Signal,
}

impl Signals {
    pub fn take() -> Result<Self, CliError> {
        let take =
            |kind| unix::signal(kind).map_err(|e| CliError::Failed(format!("cannot watch for signals: {e}")));
        Ok(Self {
            int: take(SignalKind::interrupt())?,
            quit: take(SignalKind::quit())?,
            term: take(SignalKind::terminate())?,
            hup: take(SignalKind::hangup())?,
        })
    }

    /// The next one that came.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.int.recv() => Signal::SIGINT,
            _ = self.quit.recv() => Signal::SIGQUIT,
            _ = self.term.recv() => Signal::SIGTERM,
            _ = self.hup.recv() => Signal::SIGHUP,
        }
    }
}

/// Ctrl-C and Ctrl-\ reach the whole foreground group of a terminal, the command with it: passed on, it would get
/// them twice.
pub fn to_be_passed_on(signal: Signal) -> bool {
    match signal {
        Signal::SIGINT | Signal::SIGQUIT => !in_terminals_foreground(),
        _ => true,
    }
}

fn in_terminals_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|tty| nix::unistd::tcgetpgrp(&tty) == Ok(nix::unistd::getpgrp()))
}
