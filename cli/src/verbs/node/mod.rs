//! Verbs about nodes.

mod inspect;
mod ls;

use crate::args::node::NodeCommand;
use crate::error::CliError;
use std::path::Path;

pub async fn dispatch(socket: &Path, command: NodeCommand) -> Result<(), CliError> {
    match command {
        NodeCommand::Ls(args) => ls::run(socket, args).await,
        NodeCommand::Inspect(args) => inspect::run(socket, args).await,
    }
}
