//! Nodes on the wire and in the model.

use crate::convert::{ConvertError, ID, IP, SOCKET, inner, parse};
use crate::enums::{word, word_or_none};
use crate::v1;
use swarm_model as model;

impl From<&model::Node> for v1::Node {
    fn from(node: &model::Node) -> Self {
        Self {
            id: node.id.to_string(),
            hostname: node.hostname.clone(),
            role: v1::Role::from(node.role).into(),
            availability: v1::Availability::from(node.availability).into(),
            labels: node.labels.clone(),
            addr: node.addr.to_string(),
            data_path_addr: node.data_path_addr.to_string(),
            version: node.version.clone(),
            status: Some((&node.status).into()),
            manager: node.manager.as_ref().map(Into::into),
            joined_ms: node.joined_ms,
            revision: node.revision,
            features: node.features,
            tls: 0,
            liveness: None,
        }
    }
}

impl TryFrom<v1::Node> for model::Node {
    type Error = ConvertError;

    fn try_from(node: v1::Node) -> Result<Self, ConvertError> {
        Ok(Self {
            id: parse("id", &node.id, ID)?,
            hostname: node.hostname,
            role: word("role", node.role)?,
            availability: word("availability", node.availability)?,
            labels: node.labels,
            addr: parse("addr", &node.addr, IP)?,
            data_path_addr: parse("data_path_addr", &node.data_path_addr, IP)?,
            version: node.version,
            status: inner("status", node.status)?,
            manager: node
                .manager
                .map(|m| m.try_into().map_err(|e: ConvertError| e.within("manager")))
                .transpose()?,
            joined_ms: node.joined_ms,
            revision: node.revision,
            features: node.features,
            // Nobody is shown it.
            incarnation: None,
        })
    }
}

impl From<&model::NodeStatus> for v1::NodeStatus {
    fn from(status: &model::NodeStatus) -> Self {
        Self {
            state: v1::NodeState::from(status.state).into(),
            message: status.message.clone(),
            since_ms: status.since_ms,
        }
    }
}

impl TryFrom<v1::NodeStatus> for model::NodeStatus {
    type Error = ConvertError;

    fn try_from(status: v1::NodeStatus) -> Result<Self, ConvertError> {
        Ok(Self { state: word("state", status.state)?, message: status.message, since_ms: status.since_ms })
    }
}

/// Reachability is left unspecified: whoever answers the control API fills it in.
impl From<&model::ManagerInfo> for v1::ManagerInfo {
    fn from(manager: &model::ManagerInfo) -> Self {
        Self {
            raft_id: manager.raft_id,
            addr: manager.addr.to_string(),
            member: v1::MemberState::from(manager.member).into(),
            reachability: v1::Reachability::Unspecified.into(),
            trouble: String::new(),
        }
    }
}

impl TryFrom<v1::ManagerInfo> for model::ManagerInfo {
    type Error = ConvertError;

    fn try_from(manager: v1::ManagerInfo) -> Result<Self, ConvertError> {
        Ok(Self {
            raft_id: manager.raft_id,
            addr: parse("addr", &manager.addr, SOCKET)?,
            member: word("member", manager.member)?,
        })
    }
}

/// The parts of a request to change a node that say what to change.
impl TryFrom<&v1::UpdateNodeRequest> for model::NodeUpdate {
    type Error = ConvertError;

    fn try_from(request: &v1::UpdateNodeRequest) -> Result<Self, ConvertError> {
        Ok(Self {
            role: word_or_none("role", request.role)?,
            availability: word_or_none("availability", request.availability)?,
            labels_add: request.labels_add.clone(),
            labels_remove: request.labels_remove.clone(),
        })
    }
}
