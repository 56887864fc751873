//! `join-token`: the token of a role, and the line to paste; tokens made to order.

use super::join_command;
use crate::args::swarm::{
    JoinTokenArgs, RoleArg, TokenCommand, TokenCreateArgs, TokenLsArgs, TokenRevokeArgs,
};
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::render::{Printer, access::TokenRow};
use crate::verbs::{Several, print, say};
use swarm_model::IssuedToken;
use swarm_proto::v1;

pub async fn run(target: &Target, args: JoinTokenArgs) -> Result<(), CliError> {
    match (args.command, args.role) {
        (Some(TokenCommand::Create(args)), _) => create(target, args).await,
        (Some(TokenCommand::Ls(args)), _) => list(target, args).await,
        (Some(TokenCommand::Revoke(args)), _) => revoke(target, args).await,
        (None, Some(role)) => standing(target, role, (args.rotate, args.quiet)).await,
        (None, None) => Err(CliError::Usage("say which role: worker or manager".into())),
    }
}

async fn standing(target: &Target, role: RoleArg, (rotate, quiet): (bool, bool)) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let token = token(&client, role, rotate).await?;
    if quiet {
        return print(&format!("{token}\n"));
    }
    let rotated = match rotate {
        true => format!("Successfully rotated {} join token.\n\n", word(role)),
        false => String::new(),
    };
    print(&format!("{rotated}{}", instructions(role, &token, &address(&client).await?)))
}

async fn token(client: &Client, role: RoleArg, rotate: bool) -> Result<String, CliError> {
    let role = v1::Role::from(role).into();
    let mut control = client.control();
    let answer = if rotate {
        let request = v1::RotateJoinTokenRequest { role, request_id: request_id()? };
        call(control.rotate_join_token(request)).await?
    } else {
        call(control.get_join_token(v1::GetJoinTokenRequest { role })).await?
    };
    Ok(answer.token)
}

/// Where to join: the manager that is asked.
async fn address(client: &Client) -> Result<String, CliError> {
    if let Some(manager) = client.manager() {
        return Ok(manager.to_owned());
    }
    let info = call(client.local()?.info(v1::InfoRequest {})).await?;
    let own = info.managers.iter().find(|manager| manager.node == info.node);
    Ok(own.or(info.managers.first()).map_or("HOST:2377", |manager| manager.addr.as_str()).to_owned())
}

fn word(role: RoleArg) -> &'static str {
    match role {
        RoleArg::Worker => "worker",
        RoleArg::Manager => "manager",
    }
}

fn instructions(role: RoleArg, token: &str, address: &str) -> String {
    let command = join_command(token, address);
    format!("To add a {} to this swarm, run the following command:\n\n{command}\n", word(role))
}

async fn create(target: &Target, args: TokenCreateArgs) -> Result<(), CliError> {
    if args.ttl.is_some_and(|ttl| !IssuedToken::TTL_MS.contains(&ttl)) {
        return Err(CliError::Usage("--ttl: a token must live for some time: 10s to 10 years".into()));
    }
    let client = Client::connect(target).await?;
    let request = v1::CreateJoinTokenRequest {
        role: v1::Role::from(args.role).into(),
        ttl_ms: args.ttl.unwrap_or(0),
        uses: args.uses.unwrap_or(0),
        labels: args.labels.into_iter().collect(),
        request_id: request_id()?,
    };
    let answer = call(client.control().create_join_token(request)).await?;
    if args.quiet {
        return print(&format!("{}\n", answer.token));
    }
    let id = answer.record.map(|record| record.id).unwrap_or_default();
    let text = instructions(args.role, &answer.token, &address(&client).await?);
    print(&format!("Created join token {id}.\n\n{text}"))?;
    say("The token is shown this once.");
    Ok(())
}

async fn list(target: &Target, args: TokenLsArgs) -> Result<(), CliError> {
    let printer = Printer::<TokenRow>::list(&args.output)?;
    let client = Client::connect(target).await?;
    let answer = call(client.control().list_join_tokens(v1::ListJoinTokensRequest {})).await?;
    let rows: Vec<_> = answer.tokens.into_iter().map(TokenRow::new).collect();
    print(&printer.rows(&rows, true)?)
}

async fn revoke(target: &Target, args: TokenRevokeArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let mut several = Several::default();
    for reference in args.tokens {
        if several.is_hopeless() {
            break;
        }
        let request = v1::RevokeJoinTokenRequest { reference, request_id: request_id()? };
        if let Some(revoked) = several.keep(call(client.control().revoke_join_token(request)).await) {
            print(&format!("{}\n", revoked.id))?;
        }
    }
    several.finish()
}
