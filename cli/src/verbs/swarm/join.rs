//! `join`: this host becomes a member.

use crate::args::swarm::{JoinArgs, TokenArgs};
use crate::client::{Client, Target, call_as_typed};
use crate::error::CliError;
use crate::verbs::{print, say};
use std::future::Future;
use std::io::{IsTerminal, Read};
use std::time::Duration;
use swarm_proto::v1;

/// More than any token is long.
const TOKEN_FILE_BYTES: u64 = 4096;

pub async fn run(target: &Target, args: JoinArgs) -> Result<(), CliError> {
    let request = v1::JoinRequest {
        token: token(args.token)?,
        remote_addrs: args.managers,
        advertise_addr: args.addresses.advertise_addr.unwrap_or_default(),
        listen_addr: args.addresses.listen_addr.unwrap_or_default(),
        data_path_addr: args.addresses.data_path_addr.unwrap_or_default(),
        availability: v1::Availability::from(args.addresses.availability).into(),
        labels: args.addresses.labels.into_iter().collect(),
    };
    let client = Client::connect(target).await?;
    let mut local = client.local()?;
    let answer = patiently(call_as_typed(local.join(request))).await?;
    if answer.pending {
        return Err(CliError::Unavailable(pending(&answer.message)));
    }
    answer.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    match v1::Role::try_from(answer.role) {
        Ok(v1::Role::Manager) => print("This node joined a swarm as a manager.\n"),
        _ => print("This node joined a swarm as a worker.\n"),
    }
}

fn pending(so_far: &str) -> String {
    let why = if so_far.is_empty() { "no manager answered in time" } else { so_far.trim_end_matches('.') };
    format!(
        "{why}. The attempt to join continues in the background: 'swarmctl info' shows its status, \
         'swarmctl leave' cancels it"
    )
}

fn token(args: TokenArgs) -> Result<String, CliError> {
    let Some(path) = args.token_file else {
        return Ok(args.token.unwrap_or_default());
    };
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().take(TOKEN_FILE_BYTES).read_to_string(&mut text),
        false => std::fs::File::open(&path).and_then(|f| f.take(TOKEN_FILE_BYTES).read_to_string(&mut text)),
    };
    read.map_err(|e| CliError::Failed(format!("cannot read the token from {}: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// Somebody at a terminal is told after a moment that there is something to wait for.
async fn patiently<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    if std::io::stderr().is_terminal() {
        match tokio::time::timeout(Duration::from_secs(1), &mut answer).await {
            Ok(answer) => return answer,
            Err(_) => say("waiting for a manager to answer…"),
        }
    }
    answer.await
}
