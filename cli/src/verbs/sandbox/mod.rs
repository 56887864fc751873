//! Verbs about the sandboxes of this host.

pub mod attach;
pub mod detach;
pub mod exec;
mod foreground;
pub mod ps;
pub mod rm;
pub mod run;
mod signals;

use crate::error::CliError;
use std::ffi::OsString;
use swarm_netns::SpawnError;

fn not_started(error: SpawnError) -> CliError {
    let code = u8::try_from(error.exit_code()).unwrap_or(crate::error::exit::RUN_FAILED);
    CliError::NotStarted { code, message: error.to_string() }
}

fn environment(given: Vec<(String, String)>) -> Vec<(OsString, OsString)> {
    given.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}
