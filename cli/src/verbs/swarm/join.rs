//! `join`: this host becomes a member.

use crate::args::swarm::{JoinArgs, TokenArgs};
use crate::client::{Client, Target, call_as_typed};
use crate::error::CliError;
use crate::verbs::{print, say};
use std::fs::File;
use std::future::Future;
use std::io::{IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
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
        false => File::open(&path).and_then(|file| {
            let metadata = file.metadata()?;
            // Nothing is left of what came through a pipe.
            if metadata.is_file() && metadata.mode() & 0o077 != 0 {
                say(&exposed(&path, metadata.mode()));
            }
            file.take(TOKEN_FILE_BYTES).read_to_string(&mut text)
        }),
    };
    read.map_err(|e| CliError::Failed(format!("cannot read the token from {}: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// A token is used up or can be rotated, so that it is not refused for this as an identity is.
fn exposed(path: &Path, mode: u32) -> String {
    format!(
        "warning: the token in {} may be read by others than its owner (mode {:04o}): give the file mode 0600, and rotate or \
         revoke the token if you are not sure who has read it",
        path.display(),
        mode & 0o7777
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_others_may_read_is_taken_and_said_so() {
        let said = exposed(Path::new("/etc/token"), 0o100_644);
        assert!(
            said.contains("/etc/token") && said.contains("mode 0644") && said.contains("revoke"),
            "{said}"
        );
    }
}
