//! Verbs about networks.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod ls;
mod prune;
mod rm;

use crate::args::network::NetworkCommand;
use crate::error::CliError;
use std::path::Path;

pub async fn dispatch(socket: &Path, command: NetworkCommand) -> Result<(), CliError> {
    match command {
        NetworkCommand::Create(args) => create::run(socket, args).await,
        NetworkCommand::Ls(args) => ls::run(socket, args).await,
        NetworkCommand::Inspect(args) => inspect::run(socket, args).await,
        NetworkCommand::Rm(args) => rm::run(socket, args).await,
        NetworkCommand::Prune(args) => prune::run(socket, args).await,
        NetworkCommand::Connect(args) => connect::run(socket, args).await,
        NetworkCommand::Disconnect(args) => disconnect::run(socket, args).await,
    }
}
