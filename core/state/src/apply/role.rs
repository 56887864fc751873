//! Rules for what operators do to nodes: role, availability, labels, removal. What would cost the cluster its quorum
//! is refused here, where two requests at once cannot both pass. Must not know who is reachable: that the records say
//! as well as they can, and the leader looks again before it changes Raft.

use super::node::{check_features, look_at_member, put};
use super::{Step, ring, size};
use crate::{Refusal, Reply, UpdateNode};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use swarm_model::{Node, NodeId, NodeState, NodeUpdate, Role, check_labels};

pub fn update(step: &mut Step<'_>, asked: &UpdateNode) -> Result<Reply, Refusal> {
    let before = look_at_member(step, asked.node)?;
    if let Some(expected) = asked.if_revision.filter(|expected| *expected != before.revision) {
        let host = before.hostname.clone();
        return Err(Refusal::NodeChanged { host, expected, found: before.revision });
    }
    let mut node = changed(&before, &asked.update)?;
    size::check_object("the node", size::of_node(&node.hostname, &node.labels))?;
    match (before.role, node.role) {
        (Role::Manager, Role::Worker) => check_demotion(step, &before)?,
        (Role::Worker, Role::Manager) => check_features(step, &node.hostname, node.features)?,
        (Role::Manager, Role::Manager) | (Role::Worker, Role::Worker) => {}
    }
    if node == *before {
        return Ok(Reply::Node(before));
    }
    node.revision = step.index;
    Ok(put(step, node))
}

fn changed(before: &Node, update: &NodeUpdate) -> Result<Node, Refusal> {
    let mut node = before.clone();
    for label in &update.labels_remove {
        if node.labels.remove(label).is_none() {
            return Err(Refusal::LabelNotFound { host: node.hostname, label: label.clone() });
        }
    }
    node.labels.extend(update.labels_add.clone());
    check_labels(&node.labels).map_err(|e| Refusal::Invalid(e.to_string()))?;
    node.role = update.role.unwrap_or(node.role);
    node.availability = update.availability.unwrap_or(node.availability);
    Ok(node)
}

/// Those that stay managers must be able to decide without this one. A manager that never came into Raft may go.
fn check_demotion(step: &Step<'_>, demoted: &Node) -> Result<(), Refusal> {
    let stays = |node: &&Node| node.id != demoted.id && node.role == Role::Manager && node.votes();
    let left: Vec<&Node> = step.state.nodes().filter(stays).collect();
    if left.is_empty() {
        return Err(Refusal::LastManager(demoted.hostname.clone()));
    }
    let is_ready = |node: &&Node| node.status.state == NodeState::Ready;
    let (ready, needed) = (left.iter().filter(|node| is_ready(node)).count(), left.len() / 2 + 1);
    if !demoted.votes() || ready >= needed {
        return Ok(());
    }
    let away: Vec<String> =
        left.iter().filter(|node| !is_ready(node)).map(|node| node.hostname.clone()).collect();
    Err(Refusal::QuorumAtRisk { host: demoted.hostname.clone(), left: left.len(), ready, needed, away })
}

pub fn remove(step: &mut Step<'_>, id: NodeId, force: bool) -> Result<Reply, Refusal> {
    let node = step.state.node(&id).ok_or_else(|| Refusal::NodeNotFound(id.to_string()))?;
    let left = node.status.state == NodeState::Disconnected;
    if node.manager.is_some() || (node.role == Role::Manager && !left) {
        return Err(Refusal::NodeIsManager(node.hostname.clone()));
    }
    let gone = left || node.status.state == NodeState::Down;
    if !gone && !force {
        return Err(Refusal::NodeNotDown(node.hostname.clone()));
    }
    step.state.remove_node(id, &mut step.events);
    ring::spend(step);
    Ok(Reply::Done)
}
