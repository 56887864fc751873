//! `node promote` and `node demote`.

use super::resolve;
use crate::args::node::NodesArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{Several, print, say};
use std::time::Duration;
use swarm_model::Role;
use swarm_proto::v1;
use tokio::time::Instant;

/// For a node whose daemon was just restarted to be heard of again.
const BACK_WITHIN: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(100);

pub async fn run(target: &Target, args: NodesArgs, role: Role) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let mut several = Several::default();
    let nodes = match role {
        Role::Manager => args.nodes,
        Role::Worker => oneself_last(&client, args.nodes).await?,
    };
    for reference in &nodes {
        if several.is_hopeless() {
            break;
        }
        if let Some(sentence) = several.keep(change(&client, reference, role).await) {
            print(&sentence)?;
        }
    }
    several.finish()
}

/// Whoever demotes itself can demote nobody afterwards.
async fn oneself_last(client: &Client, mut nodes: Vec<String>) -> Result<Vec<String>, CliError> {
    if nodes.len() > 1 {
        let own = call(client.local()?.info(v1::InfoRequest {})).await?;
        let is_own = |word: &str| word == "self" || word == own.hostname || own.node.starts_with(word);
        nodes.sort_by_key(|word| is_own(word));
    }
    Ok(nodes)
}

async fn change(client: &Client, reference: &str, role: Role) -> Result<String, CliError> {
    let reference = resolve(client, reference).await?;
    let before = call(client.control().get_node(v1::GetNodeRequest { reference: reference.clone() })).await?;
    let role = v1::Role::from(role);
    if before.node.is_some_and(|node| node.role() == role) {
        let already = match role {
            v1::Role::Manager => "is already a manager",
            _ => "is already a worker",
        };
        return Ok(format!("Node {reference} {already}.\n"));
    }
    let request = v1::UpdateNodeRequest {
        reference: reference.clone(),
        role: role.into(),
        request_id: request_id()?,
        ..v1::UpdateNodeRequest::default()
    };
    let changed = call(client.control().update_node(request)).await?.node.unwrap_or_default();
    if role == v1::Role::Manager && !is_here(client, changed).await {
        say(&format!("warning: node {reference} is not ready: it becomes a manager when it comes back"));
    }
    Ok(match role {
        v1::Role::Manager => format!("Node {reference} promoted to a manager in the swarm.\n"),
        _ => format!("Manager {reference} demoted in the swarm.\n"),
    })
}

/// Whether it is ready, or is so after a moment.
async fn is_here(client: &Client, mut node: v1::Node) -> bool {
    let until = Instant::now() + BACK_WITHIN;
    loop {
        match node.status.as_ref().map(v1::NodeStatus::state) {
            Some(v1::NodeState::Ready) => return true,
            Some(v1::NodeState::Unknown | v1::NodeState::Pending) if Instant::now() < until => {}
            _ => return false,
        }
        tokio::time::sleep(POLL).await;
        let request = v1::GetNodeRequest { reference: node.id.clone() };
        match call(client.control().get_node(request)).await {
            Ok(v1::GetNodeResponse { node: Some(now), .. }) => node = now,
            Ok(_) | Err(_) => return false,
        }
    }
}
