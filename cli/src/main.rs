//! `swarmctl`: what was typed becomes one request to the local daemon, or to a manager, and its answer is printed.
//! Knows the way from arguments to exit code; must not know any verb.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod args;
mod client;
mod error;
mod identity;
mod render;
mod verbs;

use clap::{CommandFactory, FromArgMatches};
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = match args::Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => args::habits::hinted(error).exit(),
    };
    let cli = match args::Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    if let Err(error) = cli.check(&matches) {
        return ended(&error);
    }
    let target = client::Target { host: cli.host, identity: cli.identity };
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| error::CliError::Failed(format!("cannot start: {e}")))
        .and_then(|runtime| runtime.block_on(verbs::dispatch(&target, cli.command)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ended(&error),
    }
}

fn ended(error: &error::CliError) -> ExitCode {
    if let Some(message) = error.message() {
        verbs::say(&message);
    }
    ExitCode::from(error.exit_code())
}
