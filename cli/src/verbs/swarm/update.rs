//! `update`: settings of the cluster.

use super::unlock_key;
use crate::args::swarm::UpdateArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{print, say};
use swarm_model::SettingsChange;
use swarm_proto::v1;

pub async fn run(target: &Target, args: UpdateArgs) -> Result<(), CliError> {
    let wanted = wanted(&args);
    super::check(&wanted)?;
    let client = Client::connect(target).await?;
    change(&client, wanted).await?;
    match args.autolock {
        Some(true) => lock(&client).await?,
        Some(false) => unlock(&client).await?,
        None => {}
    }
    print("Swarm updated.\n")
}

/// The key of a lock that is on already stays.
async fn lock(client: &Client) -> Result<(), CliError> {
    let shown = |key: &str| format!("{}\n", unlock_key::instructions(key));
    match unlock_key::current(client).await?.as_str() {
        "" => unlock_key::lock_with(client, v1::Lock::On, shown).await,
        key => print(&shown(key)),
    }
}

/// Whoever is away keeps the lock until it has heard of this, and then no manager has its key any more.
async fn unlock(client: &Client) -> Result<(), CliError> {
    let request =
        v1::SetLockRequest { lock: v1::Lock::Off.into(), request_id: request_id()?, key: String::new() };
    call(client.control().set_lock(request)).await?;
    let nodes = call(client.control().list_nodes(v1::ListNodesRequest::default())).await?.nodes;
    let away: Vec<String> = nodes.into_iter().filter(is_away).map(|node| node.hostname).collect();
    if !away.is_empty() {
        say(&format!(
            "warning: managers that are away stay locked until they are back, and start with the key of now only: \
             keep it for {}",
            away.join(", ")
        ));
    }
    Ok(())
}

fn is_away(node: &v1::Node) -> bool {
    node.manager.as_ref().is_some_and(|manager| manager.reachability() == v1::Reachability::Unreachable)
}

/// What is a number.
fn wanted(args: &UpdateArgs) -> SettingsChange {
    SettingsChange {
        cert_expiry_ms: args.cert_expiry,
        cert_grace_ms: args.cert_grace,
        heartbeat_ms: args.dispatcher_heartbeat,
        key_rotation_ms: args.key_rotation,
        snapshot_interval: args.snapshot_interval,
        max_snapshots: args.max_snapshots,
    }
}

/// Asked for on its own: it needs no answer but that it is done.
async fn change(client: &Client, wanted: SettingsChange) -> Result<(), CliError> {
    if wanted == SettingsChange::default() {
        return Ok(());
    }
    let request = v1::UpdateClusterRequest {
        cert_expiry_ms: wanted.cert_expiry_ms,
        cert_grace_ms: wanted.cert_grace_ms,
        heartbeat_ms: wanted.heartbeat_ms,
        key_rotation_ms: wanted.key_rotation_ms,
        snapshot_interval: wanted.snapshot_interval,
        max_snapshots: wanted.max_snapshots,
        request_id: request_id()?,
    };
    call(client.control().update_cluster(request)).await.map(drop)
}
