//! Verbs about nodes.

mod inspect;
mod ls;
mod ps;
mod rm;
mod role;
mod update;

use crate::args::node::NodeCommand;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use swarm_model::Role;
use swarm_proto::v1;

pub async fn dispatch(target: &Target, command: NodeCommand) -> Result<(), CliError> {
    match command {
        NodeCommand::Ls(args) => ls::run(target, args).await,
        NodeCommand::Inspect(args) => inspect::run(target, args).await,
        NodeCommand::Promote(args) => role::run(target, args, Role::Manager).await,
        NodeCommand::Demote(args) => role::run(target, args, Role::Worker).await,
        NodeCommand::Rm(args) => rm::run(target, args).await,
        NodeCommand::Update(args) => update::run(target, args).await,
        NodeCommand::Ps(args) => ps::run(target, args).await,
    }
}

/// The id that stands for `self`; anything else stays what it is.
async fn resolve(client: &Client, reference: &str) -> Result<String, CliError> {
    if reference != "self" {
        return Ok(reference.to_owned());
    }
    let info = call(client.local()?.info(v1::InfoRequest {})).await?;
    match info.node.is_empty() {
        true => Err(CliError::NotFound("this host is not a node: it belongs to no swarm".into())),
        false => Ok(info.node),
    }
}
