//! `ca`: the root CA, shown or replaced.

use super::progress::Progress;
use crate::args::cluster::CaArgs;
use crate::client::Target;
use crate::client::{Client, call, request_id};
use crate::error::CliError;
use crate::render::words;
use crate::verbs::{INTERRUPTED, print, say, swarm};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use swarm_model::SettingsChange;
use swarm_proto::v1;

/// Certificates and keys are a few KiB.
const MOST_BYTES: u64 = 64 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub async fn run(target: &Target, args: CaArgs) -> Result<(), CliError> {
    swarm::check(&SettingsChange { cert_expiry_ms: args.cert_expiry, ..SettingsChange::default() })?;
    let client = Client::connect(target).await?;
    if args.rotate {
        let request = v1::RotateRootRequest {
            ca_cert: args.ca_cert.as_deref().map(read).transpose()?.unwrap_or_default(),
            ca_key: args.ca_key.as_deref().map(read).transpose()?.unwrap_or_default(),
            cert_expiry_ms: args.cert_expiry,
            request_id: request_id()?,
        };
        call(client.control().rotate_root(request)).await?;
        if args.detach {
            say("The rotation goes on by itself: `swarmctl ca` and `swarmctl info` show how far it is.");
            return Ok(());
        }
        follow(&client, args.quiet).await?;
        say(&outdated(&client).await?);
    }
    let answer = look(&client).await?;
    if let Some(rotation) = &answer.rotation {
        say(&format!("Root rotation {}", words::rotation(rotation)));
    }
    print(&answer.cluster.unwrap_or_default().root_ca_cert)
}

/// What is worth nothing now that the old root is gone, and what to do.
async fn outdated(client: &Client) -> Result<String, CliError> {
    let mut control = client.control();
    let tokens = call(control.list_join_tokens(v1::ListJoinTokensRequest {})).await?.tokens;
    let users = call(control.list_users(v1::ListUsersRequest {})).await?.users;
    let tokens = tokens.iter().filter(|token| token.state() == v1::TokenState::OldRoot).count();
    let users = users.iter().filter(|user| user.state() == v1::TokenState::OldRoot).count();
    Ok(worthless(tokens, users))
}

fn worthless(tokens: usize, users: usize) -> String {
    let all = "The old root CA is gone: lines to join that were printed before admit nobody, `swarmctl join-token` prints new ones.";
    let made = match tokens {
        0 => String::new(),
        count => format!(
            "\nJoin tokens made before, which admit nobody any more: {count}; see `join-token ls`, `join-token revoke` them and \
             `join-token create` others."
        ),
    };
    let known = match users {
        0 => String::new(),
        count => format!(
            "\nUsers whose identities are refused from now on: {count}; see `user ls`, `user rm` them and `user create` them anew."
        ),
    };
    format!("{all}{made}{known}")
}

async fn look(client: &Client) -> Result<v1::GetClusterResponse, CliError> {
    call(client.control().get_cluster(v1::GetClusterRequest {})).await
}

/// Until the old root is gone, somebody has had enough, or, without a terminal, nothing moves any more.
async fn follow(client: &Client, quiet: bool) -> Result<(), CliError> {
    let mut progress = Progress::new(quiet);
    tokio::select! {
        ended = watch(client, &mut progress) => return ended,
        _ = tokio::signal::ctrl_c() => {}
    }
    progress.interrupted();
    Err(CliError::Ended(INTERRUPTED))
}

async fn watch(client: &Client, progress: &mut Progress) -> Result<(), CliError> {
    loop {
        match look(client).await?.rotation {
            None => {
                progress.done();
                return Ok(());
            }
            Some(rotation) => progress.show(&rotation)?,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
    read.map_err(|e| CliError::Failed(format!("cannot read {}: {e}", path.display())))?;
    match text.trim().is_empty() {
        true => Err(CliError::Failed(format!("{} is empty: PEM is expected", path.display()))),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s67_what_is_worthless_after_a_rotation_is_counted() {
        assert!(worthless(0, 0).contains("join-token") && !worthless(0, 0).contains("Users"));
        let said = worthless(2, 1);
        assert!(
            said.contains("any more: 2; see `join-token ls`")
                && said.contains("from now on: 1; see `user ls`")
        );
    }
}
