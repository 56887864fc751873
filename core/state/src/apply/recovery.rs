//! Rules for a cluster that goes on with one manager, after the others were lost or from a backup.

use super::Step;
use super::node::{check_admission, enter, insert, put};
use super::ring;
use crate::{Event, Refusal, ReplaceManagers, Reply};
use alloc::sync::Arc;
use alloc::vec::Vec;
use swarm_model::{Node, NodeState, Role};

const NOT_HEARD: &str = "not heard of since the cluster was recovered";
const SUPERSEDED: &str = "was a manager before the cluster was recovered without it";

/// Everything else stays: nodes, networks, endpoints, tokens. The epoch is another, so that those who were left behind and
/// those who follow them know a past of the cluster when they meet it, or another survivor who went on too.
pub fn replace_managers(step: &mut Step<'_>, replace: &ReplaceManagers) -> Result<Reply, Refusal> {
    let ReplaceManagers { survivor, manager, drawn } = replace;
    if survivor.role != Role::Manager {
        return Err(Refusal::NotAManager(survivor.node));
    }
    let known = step.state.node(&survivor.node).cloned();
    if known.is_none() {
        check_admission(step, survivor)?;
    }
    step_down(step, survivor.node);
    // As it was applied by the release that drew nothing, a log of its time is applied now.
    if *drawn != 0 {
        doubt(step, survivor.node);
    }
    if let Some(cluster) = &mut step.state.tables.cluster {
        let cluster = Arc::make_mut(cluster);
        cluster.enter(cluster.lineage().follow(*drawn));
        step.events.push(Event::DefaultsChanged);
    }
    ring::spend(step);
    let Some(mut node) = known else { return Ok(insert(step, survivor, Some(manager.clone()))) };
    node.role = Role::Manager;
    node.addr = survivor.addr;
    node.data_path_addr = survivor.data_path_addr;
    node.manager = Some(manager.clone());
    node.revision = step.index;
    if node.status.state == NodeState::Disconnected {
        enter(&mut node, NodeState::Down, "", step.wall_ms);
    }
    Ok(put(step, node))
}

/// Who was here before is only believed to be: nobody holds a session yet, and a backup may be old.
fn doubt(step: &mut Step<'_>, survivor: swarm_model::NodeId) {
    let were = |node: &&Node| node.id != survivor && node.status.state == NodeState::Ready;
    let others: Vec<Node> = step.state.nodes().filter(were).cloned().collect();
    for mut node in others {
        node.revision = step.index;
        enter(&mut node, NodeState::Unknown, NOT_HEARD, step.wall_ms);
        put(step, node);
    }
}

/// Everybody but the survivor stops being a manager.
fn step_down(step: &mut Step<'_>, survivor: swarm_model::NodeId) {
    let were = |node: &&Node| node.id != survivor && (node.role == Role::Manager || node.manager.is_some());
    let others: Vec<Node> = step.state.nodes().filter(were).cloned().collect();
    for mut node in others {
        node.role = Role::Worker;
        node.manager = None;
        node.revision = step.index;
        if node.status.state != NodeState::Disconnected {
            enter(&mut node, NodeState::Down, SUPERSEDED, step.wall_ms);
        }
        put(step, node);
    }
}
