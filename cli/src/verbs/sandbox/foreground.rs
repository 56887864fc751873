//! A command in the foreground: signals go in, its exit code comes out. Must not know what it runs in.

use super::signals::{Signals, to_be_passed_on};
use crate::error::{CliError, exit};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use swarm_netns::Process;

/// Waits for the command's end; a code other than 0 is this program's too.
pub async fn attend(mut child: Child, signals: &mut Signals) -> Result<(), CliError> {
    // That it cannot be held means that it has ended; it is our child, so its number is not given out again.
    if let Ok(process) = Process::open(child.id().cast_signed()) {
        loop {
            tokio::select! {
                ended = process.exited() => break ended.unwrap_or(()),
                signal = signals.next() => pass_on(&process, signal),
            }
        }
    }
    let status = child.wait().map_err(|e| CliError::NotStarted {
        code: exit::RUN_FAILED,
        message: format!("cannot learn how the command ended: {e}"),
    })?;
    match code(status) {
        0 => Ok(()),
        code => Err(CliError::Ended(code)),
    }
}

fn pass_on(process: &Process, signal: nix::sys::signal::Signal) {
    if to_be_passed_on(signal) {
        // It may have ended in this very moment.
        let _ = process.signal(signal);
    }
}

/// As shells do: 128 and the signal's number for a command that a signal ended.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(exit::RUN_FAILED)
}
