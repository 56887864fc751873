//! Rules for nodes: admission, registration, status, place in Raft, leaving.

use super::{Step, ring, size};
use crate::limits::{MAX_HOSTNAME_BYTES, MAX_MESSAGE_BYTES, MAX_NODES, MAX_VERSION_BYTES};
use crate::tables::Session;
use crate::{AdmitNode, NoteIncarnation, Refusal, RegisterNode, Reply};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use swarm_model::{ManagerInfo, Node, NodeId, NodeState, NodeStatus, Role, SessionId, check_labels};

pub fn check_admission(step: &Step<'_>, admit: &AdmitNode) -> Result<(), Refusal> {
    check_texts(&admit.hostname, &admit.version)?;
    check_labels(&admit.labels).map_err(|e| Refusal::Invalid(e.to_string()))?;
    size::check_object("the node", size::of_node(&admit.hostname, &admit.labels))?;
    let nodes = &step.state.tables.nodes;
    if nodes.contains_key(&admit.node) {
        return Err(Refusal::NodeExists(admit.node));
    }
    if nodes.len() >= MAX_NODES {
        return Err(Refusal::Limit { what: "nodes".into(), limit: MAX_NODES });
    }
    match admit.role {
        Role::Manager => check_features(step, &admit.hostname, admit.features),
        Role::Worker => Ok(()),
    }
}

/// A manager must know every command that may be in the log.
pub fn check_features(step: &Step<'_>, host: &str, features: u32) -> Result<(), Refusal> {
    let needed = step.state.cluster().map_or(1, |cluster| cluster.feature_level);
    match features.max(1) {
        enough if enough >= needed => Ok(()),
        _ => Err(Refusal::TooOld { host: host.into(), features, needed }),
    }
}

fn check_texts(hostname: &str, version: &str) -> Result<(), Refusal> {
    size::check_text("the host name", hostname, MAX_HOSTNAME_BYTES)?;
    size::check_text("the version", version, MAX_VERSION_BYTES)
}

pub fn admit(step: &mut Step<'_>, admit: &AdmitNode) -> Result<Reply, Refusal> {
    check_admission(step, admit)?;
    Ok(insert(step, admit, None))
}

/// `admit` must have been checked.
pub fn insert(step: &mut Step<'_>, admit: &AdmitNode, manager: Option<ManagerInfo>) -> Reply {
    let node = Node {
        id: admit.node,
        hostname: admit.hostname.clone(),
        role: admit.role,
        availability: admit.availability,
        labels: admit.labels.clone(),
        addr: admit.addr,
        data_path_addr: admit.data_path_addr,
        version: admit.version.clone(),
        status: NodeStatus { state: NodeState::Pending, message: String::new(), since_ms: step.wall_ms },
        manager,
        joined_ms: step.wall_ms,
        revision: step.index,
        features: admit.features,
        incarnation: None,
    };
    put(step, node)
}

pub fn put(step: &mut Step<'_>, node: Node) -> Reply {
    let id = node.id;
    step.state.put_node(node, &mut step.events);
    step.state.tables.nodes.get(&id).map_or(Reply::Done, |node| Reply::Node(Arc::clone(node)))
}

/// A member that has not left, to be changed.
pub fn member(step: &Step<'_>, id: NodeId) -> Result<Node, Refusal> {
    look_at_member(step, id).map(|node| Node::clone(&node))
}

/// A member that has not left.
pub fn look_at_member(step: &Step<'_>, id: NodeId) -> Result<Arc<Node>, Refusal> {
    let node = step.state.tables.nodes.get(&id).ok_or_else(|| Refusal::NodeNotFound(id.to_string()))?;
    match node.status.state {
        NodeState::Disconnected => Err(Refusal::NodeLeft(id)),
        NodeState::Pending | NodeState::Ready | NodeState::Unknown | NodeState::Down => Ok(Arc::clone(node)),
    }
}

pub fn register(step: &mut Step<'_>, register: &RegisterNode) -> Result<Reply, Refusal> {
    check_texts(&register.hostname, &register.version)?;
    let mut node = member(step, register.node)?;
    size::check_object("the node", size::of_node(&register.hostname, &node.labels))?;
    node.hostname.clone_from(&register.hostname);
    node.addr = register.addr;
    node.data_path_addr = register.data_path_addr;
    node.version.clone_from(&register.version);
    node.features = register.features;
    enter(&mut node, NodeState::Ready, "", step.wall_ms);
    let session = Session { id: register.session, manager: register.manager };
    step.state.tables.sessions.insert(node.id, session);
    Ok(put(step, node))
}

/// Not from a session that another has taken the place of: the node has begun again since.
pub fn note_incarnation(step: &mut Step<'_>, note: &NoteIncarnation) -> Result<Reply, Refusal> {
    let mut node = member(step, note.node)?;
    if step.state.tables.sessions.get(&note.node).map(|session| session.id) != Some(note.session) {
        return Err(Refusal::SessionSuperseded(note.node));
    }
    if node.incarnation.replace(note.incarnation) != Some(note.incarnation) {
        put(step, node);
    }
    Ok(Reply::Done)
}

pub fn set_status(
    step: &mut Step<'_>,
    id: NodeId,
    (to, message): (NodeState, &str),
    session: Option<&SessionId>,
) -> Result<Reply, Refusal> {
    size::check_text("the message", message, MAX_MESSAGE_BYTES)?;
    let mut node = member(step, id)?;
    let current = step.state.tables.sessions.get(&id).map(|session| &session.id);
    if session.is_some() && session != current {
        return Err(Refusal::SessionSuperseded(id));
    }
    let from = node.status.state;
    if !may_become(from, to) {
        return Err(Refusal::NodeTransition { node: id, from, to });
    }
    if (from, node.status.message.as_str()) == (to, message) {
        return Ok(Reply::Done);
    }
    enter(&mut node, to, message, step.wall_ms);
    put(step, node);
    Ok(Reply::Done)
}

/// Pending → Ready ⇄ Unknown → Down → Ready. A node becomes `Disconnected` by leaving only, and stays so.
fn may_become(from: NodeState, to: NodeState) -> bool {
    use NodeState::{Disconnected, Down, Pending, Ready, Unknown};
    match (from, to) {
        (_, Disconnected) | (Disconnected, _) => false,
        (Pending, Pending | Ready | Down) => true,
        (Pending, Unknown) | (Ready | Unknown | Down, Pending) => false,
        (Ready | Unknown, Ready | Unknown | Down) => true,
        (Down, Ready | Down) => true,
        (Down, Unknown) => false,
    }
}

pub fn enter(node: &mut Node, state: NodeState, message: &str, wall_ms: u64) {
    if node.status.state != state {
        node.status.since_ms = wall_ms;
    }
    node.status.state = state;
    node.status.message = message.into();
}

pub fn set_manager(step: &mut Step<'_>, id: NodeId, manager: Option<&ManagerInfo>) -> Result<Reply, Refusal> {
    // A node that left may still have to be taken out of the list of managers: it was, by leaving.
    if manager.is_none() && step.state.node(&id).is_some_and(|node| node.manager.is_none()) {
        return Ok(Reply::Done);
    }
    let mut node = member(step, id)?;
    if let Some(manager) = manager {
        if node.role != Role::Manager {
            return Err(Refusal::NotAManager(id));
        }
        let same = |other: &&Arc<Node>| {
            other.id != id && other.manager.as_ref().is_some_and(|m| m.raft_id == manager.raft_id)
        };
        if let Some(other) = step.state.tables.nodes.values().find(same) {
            return Err(Refusal::RaftIdTaken { raft_id: manager.raft_id, node: other.id });
        }
    }
    if node.manager.as_ref() != manager {
        node.manager = manager.cloned();
        put(step, node);
    }
    Ok(Reply::Done)
}

pub fn leave(step: &mut Step<'_>, id: NodeId) -> Result<Reply, Refusal> {
    let mut node = match member(step, id) {
        // Said again: the first answer was lost.
        Err(Refusal::NodeLeft(_)) => return Ok(Reply::Done),
        other => other?,
    };
    for endpoint in step.state.endpoint_ids_of_node(&id) {
        step.state.remove_endpoint(endpoint, &mut step.events);
    }
    step.state.tables.sessions.remove(&id);
    node.manager = None;
    enter(&mut node, NodeState::Disconnected, "left the cluster", step.wall_ms);
    put(step, node);
    ring::spend(step);
    Ok(Reply::Done)
}
