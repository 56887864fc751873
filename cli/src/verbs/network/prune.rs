//! `network prune`: asks first, unless told not to.

use crate::args::network::NetworkPruneArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{print, say};
use swarm_proto::v1;

pub async fn run(target: &Target, args: NetworkPruneArgs) -> Result<(), CliError> {
    if !args.force && !confirmed() {
        return Err(CliError::Failed("nothing was removed: answer y, or give --force".into()));
    }
    let client = Client::connect(target).await?;
    let request = v1::PruneNetworksRequest { request_id: request_id()? };
    let answer = call(client.control().prune_networks(request)).await?;
    match answer.names.as_slice() {
        [] => Ok(()),
        names => print(&format!("Deleted Networks:\n{}\n", names.join("\n"))),
    }
}

fn confirmed() -> bool {
    say(
        "WARNING! This will remove all networks that nothing uses.\nAre you sure you want to continue? [y/N]",
    );
    let mut answer = String::new();
    // No answer is a no.
    let _ = std::io::stdin().read_line(&mut answer);
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
