//! What each verb means: one request, and what is made of the answer. Knows requests; must not know flags' syntax or
//! columns.

mod cluster;
mod filter;
mod network;
mod new_file;
mod node;
mod sandbox;
mod secret;
mod swarm;

use crate::args::Command;
use crate::error::CliError;
use std::io::{ErrorKind, Write};
use std::path::Path;

pub async fn dispatch(socket: &Path, command: Command) -> Result<(), CliError> {
    match command {
        Command::Init(args) => swarm::init::run(socket, args).await,
        Command::Join(args) => swarm::join::run(socket, args).await,
        Command::JoinToken(args) => swarm::join_token::run(socket, args).await,
        Command::Leave(args) => swarm::leave::run(socket, args).await,
        Command::Rejoin(args) => swarm::rejoin::run(socket, args).await,
        Command::Backup(args) => swarm::backup::run(socket, args).await,
        Command::Restore(args) => swarm::restore::run(socket, args).await,
        Command::Unlock(args) => swarm::unlock::run(socket, args).await,
        Command::UnlockKey(args) => swarm::unlock_key::run(socket, args).await,
        Command::Update(args) => swarm::update::run(socket, args).await,
        Command::Ca(args) => cluster::ca::run(socket, args).await,
        Command::Info(args) => swarm::info::run(socket, args).await,
        Command::Node(command) => node::dispatch(socket, command).await,
        Command::Network(command) => network::dispatch(socket, command).await,
        Command::Run(args) => sandbox::run::run(socket, args).await,
        Command::Attach(args) => sandbox::attach::run(socket, args).await,
        Command::Detach(args) => sandbox::detach::run(socket, args).await,
        Command::Ps(args) => sandbox::ps::run(socket, args).await,
        Command::Rm(args) => sandbox::rm::run(socket, args).await,
        Command::Exec(args) => sandbox::exec::run(socket, args).await,
    }
}

/// A result, on standard output. A reader that has gone away has read enough.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::Failed(format!("cannot write the result: {e}")))
        }
        _ => Ok(()),
    }
}

/// A message, on standard error; there is nobody to tell when that fails.
pub fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// What came of several references: those that failed are said at once and the first decides the exit code.
#[derive(Default)]
struct Several {
    first: Option<u8>,
    nobody_answers: bool,
}

impl Several {
    fn keep<T>(&mut self, result: Result<T, CliError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if let Some(message) = error.message() {
                    say(&message);
                }
                self.nobody_answers |= matches!(error, CliError::Unavailable(_));
                self.first.get_or_insert(error.exit_code());
                None
            }
        }
    }

    /// Whoever waited its deadline out once need not do so for each of the others.
    fn is_hopeless(&self) -> bool {
        self.nobody_answers
    }

    fn finish(self) -> Result<(), CliError> {
        self.first.map_or(Ok(()), |code| Err(CliError::Said(code)))
    }
}
