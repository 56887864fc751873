//! Verbs about networks.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod ls;
mod prune;
mod rm;

use crate::args::network::NetworkCommand;
use crate::client::Target;
use crate::error::CliError;

pub async fn dispatch(target: &Target, command: NetworkCommand) -> Result<(), CliError> {
    match command {
        NetworkCommand::Create(args) => create::run(target, args).await,
        NetworkCommand::Ls(args) => ls::run(target, args).await,
        NetworkCommand::Inspect(args) => inspect::run(target, args).await,
        NetworkCommand::Rm(args) => rm::run(target, args).await,
        NetworkCommand::Prune(args) => prune::run(target, args).await,
        NetworkCommand::Connect(args) => connect::run(target, args).await,
        NetworkCommand::Disconnect(args) => disconnect::run(target, args).await,
    }
}
