//! Verbs about users.

mod create;
mod ls;
mod rm;

use crate::args::user::{UserCommand, UserRoleArg};
use crate::client::Target;
use crate::error::CliError;
use swarm_proto::v1;

pub async fn dispatch(target: &Target, command: UserCommand) -> Result<(), CliError> {
    match command {
        UserCommand::Create(args) => create::run(target, args).await,
        UserCommand::Ls(args) => ls::run(target, args).await,
        UserCommand::Rm(args) => rm::run(target, args).await,
    }
}

impl From<UserRoleArg> for v1::UserRole {
    fn from(arg: UserRoleArg) -> Self {
        match arg {
            UserRoleArg::Viewer => Self::Viewer,
            UserRoleArg::Operator => Self::Operator,
            UserRoleArg::Admin => Self::Admin,
        }
    }
}
