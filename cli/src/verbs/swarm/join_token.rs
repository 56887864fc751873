//! `join-token`: the token of a role, and the line to paste.

use super::join_command;
use crate::args::swarm::{JoinTokenArgs, RoleArg};
use crate::client::{Client, call, request_id};
use crate::error::CliError;
use crate::verbs::print;
use std::path::Path;
use swarm_proto::v1;

pub async fn run(socket: &Path, args: JoinTokenArgs) -> Result<(), CliError> {
    let client = Client::connect(socket).await?;
    let token = token(&client, &args).await?;
    if args.quiet {
        return print(&format!("{token}\n"));
    }
    let info = call(client.local().info(v1::InfoRequest {})).await?;
    print(&instructions(&args, &token, &info))
}

async fn token(client: &Client, args: &JoinTokenArgs) -> Result<String, CliError> {
    let role = v1::Role::from(args.role).into();
    let mut control = client.control();
    let answer = if args.rotate {
        let request = v1::RotateJoinTokenRequest { role, request_id: request_id()? };
        call(control.rotate_join_token(request)).await?
    } else {
        call(control.get_join_token(v1::GetJoinTokenRequest { role })).await?
    };
    Ok(answer.token)
}

fn instructions(args: &JoinTokenArgs, token: &str, info: &v1::InfoResponse) -> String {
    let role = match args.role {
        RoleArg::Worker => "worker",
        RoleArg::Manager => "manager",
    };
    let rotated = match args.rotate {
        true => format!("Successfully rotated {role} join token.\n\n"),
        false => String::new(),
    };
    let own = info.managers.iter().find(|manager| manager.node == info.node);
    let address = own.or(info.managers.first()).map_or("HOST:2377", |manager| manager.addr.as_str());
    let command = join_command(token, address);
    format!("{rotated}To add a {role} to this swarm, run the following command:\n\n{command}\n")
}
