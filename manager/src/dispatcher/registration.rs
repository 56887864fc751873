//! What a worker says when its session begins, and what follows from it.
//! Knows: registrations and records. Must not know: streams, Raft.

use std::collections::BTreeSet;
use std::net::IpAddr;
use swarm_model::{EndpointId, Node, NodeId, NodeState, Revision, SessionId};
use swarm_proto::{ConvertError, optional, parse_all, v1};
use swarm_state::{RegisterNode, Session};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub node: NodeId,
    pub hostname: String,
    pub addr: IpAddr,
    pub data_path_addr: IpAddr,
    pub version: String,
    pub held: BTreeSet<EndpointId>,
    /// The revision of the assignment the node had when it listed what it holds.
    pub listed_at: Revision,
}

impl Registration {
    /// `connection`: the address the worker came from, which stands for one it did not give.
    pub fn read(node: NodeId, connection: IpAddr, given: v1::Register) -> Result<Self, ConvertError> {
        let addr = optional("register.addr", &given.addr, "an IP address")?.unwrap_or(connection);
        let data_path = optional("register.data_path_addr", &given.data_path_addr, "an IP address")?;
        let held: Vec<EndpointId> =
            parse_all("register.held", &given.held, "an id: 25 characters of 0-9a-z")?;
        Ok(Self {
            node,
            hostname: given.hostname,
            addr,
            data_path_addr: data_path.unwrap_or(addr),
            version: given.version,
            held: held.into_iter().collect(),
            listed_at: given.revision,
        })
    }

    /// The session on record, when this manager holds it and the record says all of this already: then nothing needs
    /// to be written, and a manager that restarts takes its sessions back without a single entry in the log.
    pub fn on_record(&self, node: &Node, session: Option<&Session>, me: NodeId) -> Option<SessionId> {
        let same = node.status.state == NodeState::Ready
            && node.hostname == self.hostname
            && node.addr == self.addr
            && node.data_path_addr == self.data_path_addr
            && node.version == self.version;
        session.filter(|session| same && session.manager == me).map(|session| session.id)
    }

    pub fn entry(&self, session: SessionId, manager: NodeId) -> RegisterNode {
        RegisterNode {
            node: self.node,
            session,
            manager,
            hostname: self.hostname.clone(),
            addr: self.addr,
            data_path_addr: self.data_path_addr,
            version: self.version.clone(),
        }
    }
}

/// What a change of its node's record means for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// Somebody declared the node lost while it is served here: say again that it is there.
    RegisterAgain,
    /// The node has a newer session with this manager or another.
    Superseded,
    /// The node left or was removed.
    Gone,
}

pub fn judge(node: Option<&Node>, current: Option<&Session>, session: SessionId) -> Verdict {
    let Some(node) = node else {
        return Verdict::Gone;
    };
    match node.status.state {
        NodeState::Disconnected => Verdict::Gone,
        _ if current.is_some_and(|current| current.id != session) => Verdict::Superseded,
        NodeState::Ready => Verdict::GoOn,
        NodeState::Pending | NodeState::Unknown | NodeState::Down => Verdict::RegisterAgain,
    }
}
