//! The one door into the replicated state. A command is checked whole, then done whole; a refusal is a reply and
//! has changed nothing. Must not know clocks, randomness or who the caller is.

mod access;
mod ca;
mod cluster;
mod endpoint;
mod lock;
mod network;
mod node;
mod recovery;
mod ring;
mod role;
mod size;

use crate::{Applied, Command, Entry, Event, Refusal, Reply, State};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use swarm_model::{NetworkId, NodeId, Revision};

/// Applies the entry at Raft index `index`. Total: the same state and entry give the same state and answer on
/// every replica, whatever the entry holds.
pub fn apply(state: &mut State, index: Revision, entry: &Entry) -> Applied {
    let applied = state.tables.applied;
    if index <= applied {
        let reply = Reply::Refused(Refusal::AlreadyApplied { index, applied });
        return Applied { reply, events: Vec::new() };
    }
    state.tables.applied = index;
    state.tables.clock.advance(entry.now_ms);
    state.tables.requests.forget_old(state.tables.clock.ms);
    let verb = entry.command.verb();
    if let Some(reply) = entry.request.and_then(|request| state.tables.requests.recall(&request, verb)) {
        return Applied { reply, events: Vec::new() };
    }
    let mut step = Step { state, index, wall_ms: entry.now_ms, events: Vec::new() };
    let reply = step.run(&entry.command).unwrap_or_else(Reply::Refused);
    let events = step.events;
    if let Some(request) = entry.request {
        state.tables.requests.remember(request, verb, state.tables.clock.ms, reply.clone());
    }
    Applied { reply, events }
}

/// One entry on its way into the state.
struct Step<'a> {
    state: &'a mut State,
    index: Revision,
    /// The proposer's wall clock: for times that people read, never for decisions.
    wall_ms: u64,
    events: Vec<Event>,
}

impl Step<'_> {
    fn run(&mut self, command: &Command) -> Result<Reply, Refusal> {
        match command {
            Command::NoOp => return Ok(Reply::Done),
            Command::CreateCluster(create) => return cluster::create(self, create),
            _ if self.state.tables.cluster.is_none() => return Err(Refusal::NoCluster),
            _ => {}
        }
        match command {
            Command::NoOp | Command::CreateCluster(_) => Ok(Reply::Done),
            Command::RotateJoinSecret(rotate) => cluster::rotate_join_secret(self, rotate),
            Command::AdmitNode(admit) => node::admit(self, admit),
            Command::RegisterNode(register) => node::register(self, register),
            Command::SetNodeStatus { node, state, message, session } => {
                node::set_status(self, *node, (*state, message), session.as_ref())
            }
            Command::SetManager { node, manager } => node::set_manager(self, *node, manager.as_ref()),
            Command::LeaveNode { node } => node::leave(self, *node),
            Command::CreateNetwork(create) => network::create(self, create),
            Command::RemoveNetwork { network } => network::remove(self, *network),
            Command::PruneNetworks => Ok(network::prune(self)),
            Command::CreateEndpoints(create) => endpoint::create(self, create),
            Command::ReleaseEndpoints { node, endpoints } => endpoint::release(self, *node, endpoints),
            Command::UpdateNode(update) => role::update(self, update),
            Command::RemoveNode { node, force } => role::remove(self, *node, *force),
            Command::ReplaceManagers(replace) => recovery::replace_managers(self, replace),
            Command::SetFeatureLevel { level, settled } => {
                cluster::set_feature_level(self, *level, settled.as_ref())
            }
            Command::SetLock(set) => lock::set(self, set),
            Command::UpdateSettings(change) => ca::update_settings(self, change),
            Command::RotateRoot(rotate) => ca::rotate(self, rotate),
            Command::NoteRenewed { node, rotation } => ca::note_renewed(self, *node, *rotation),
            Command::FinishRotation { rotation } => ca::finish(self, *rotation),
            Command::CreateToken(create) => access::create_token(self, create),
            Command::RevokeToken { token } => access::revoke_token(self, *token),
            Command::AdmitByToken(admit) => access::admit_by_token(self, admit),
            Command::CreateUser(create) => access::create_user(self, create),
            Command::RemoveUser { user } => access::remove_user(self, *user),
            Command::TurnRing(turn) => ring::turn(self, turn),
            Command::NoteIncarnation(note) => node::note_incarnation(self, note),
        }
    }

    /// What people call a node.
    fn host(&self, node: NodeId) -> String {
        self.state.node(&node).map_or_else(|| node.to_string(), |node| node.hostname.clone())
    }

    fn network_name(&self, network: NetworkId) -> String {
        self.state.network(&network).map_or_else(|| network.to_string(), |network| network.name().to_string())
    }
}
