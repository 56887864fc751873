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
mod user;

use crate::args::Command;
use crate::args::network::NetworkCommand;
use crate::args::values::Host;
use crate::client::{Target, needs_its_host};
use crate::error::CliError;
use crate::render::plain;
use std::io::{ErrorKind, Write};

/// As a shell says it of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// What only the daemon of the host it concerns can do, or knows.
fn is_of_one_host(command: &Command) -> bool {
    use Command::{Attach, Detach, Exec, Init, Join, Leave, Network, Ps, Rejoin, Restore, Rm, Run, Unlock};
    matches!(
        command,
        Init(_)
            | Join(_)
            | Leave(_)
            | Rejoin(_)
            | Restore(_)
            | Unlock(_)
            | Run(_)
            | Attach(_)
            | Detach(_)
            | Ps(_)
            | Rm(_)
            | Exec(_)
            | Network(NetworkCommand::Connect(_) | NetworkCommand::Disconnect(_))
    )
}

pub async fn dispatch(target: &Target, command: Command) -> Result<(), CliError> {
    // Before a file of this host is read for it.
    if let (Host::Manager(addr), true) = (&target.host, is_of_one_host(&command)) {
        return Err(needs_its_host(addr));
    }
    match command {
        Command::Init(args) => swarm::init::run(target, args).await,
        Command::Join(args) => swarm::join::run(target, args).await,
        Command::JoinToken(args) => swarm::join_token::run(target, args).await,
        Command::Leave(args) => swarm::leave::run(target, args).await,
        Command::Rejoin(args) => swarm::rejoin::run(target, args).await,
        Command::Backup(args) => swarm::backup::run(target, args).await,
        Command::Restore(args) => swarm::restore::run(target, args).await,
        Command::Unlock(args) => swarm::unlock::run(target, args).await,
        Command::UnlockKey(args) => swarm::unlock_key::run(target, args).await,
        Command::Update(args) => swarm::update::run(target, args).await,
        Command::Ca(args) => cluster::ca::run(target, args).await,
        Command::Events(args) => cluster::events::run(target, args).await,
        Command::User(command) => user::dispatch(target, command).await,
        Command::Info(args) => swarm::info::run(target, args).await,
        Command::Node(command) => node::dispatch(target, command).await,
        Command::Network(command) => network::dispatch(target, command).await,
        Command::Run(args) => sandbox::run::run(target, args).await,
        Command::Attach(args) => sandbox::attach::run(target, args).await,
        Command::Detach(args) => sandbox::detach::run(target, args).await,
        Command::Ps(args) => sandbox::ps::run(target, args).await,
        Command::Rm(args) => sandbox::rm::run(target, args).await,
        Command::Exec(args) => sandbox::exec::run(target, args).await,
    }
}

/// A result, on standard output. A reader that has gone away has read enough.
fn print(text: &str) -> Result<(), CliError> {
    is_read(text).map(drop)
}

/// As `print`, for what goes on; false: the reader has gone away.
fn is_read(text: &str) -> Result<bool, CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(CliError::Failed(format!("cannot write the result: {e}"))),
    }
}

/// A message, on standard error; there is nobody to tell when that fails.
pub fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain::lines(message));
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
