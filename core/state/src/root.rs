//! The replacement of the root CA, as a command and as a question: who still has to renew. Must not know certificates.

use crate::State;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};
use swarm_model::{Node, NodeState};

/// A new root CA, to take the old one's place once every node has a certificate under it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateRoot {
    /// PEM: the root that signed `cross_cert`. Refused unless it is still the cluster's.
    pub replaces: String,
    /// PEM.
    pub root_ca_cert: String,
    /// PEM (PKCS#8). Secret.
    pub root_ca_key: String,
    /// PEM: the new root's key, signed by the old root.
    pub cross_cert: String,
    #[serde(default)]
    pub cert_expiry_ms: Option<u64>,
}

impl fmt::Debug for RotateRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotateRoot").field("cert_expiry_ms", &self.cert_expiry_ms).finish_non_exhaustive()
    }
}

impl State {
    /// The nodes whose certificates are still those of the old root. Who has left for good is not waited for.
    pub fn not_renewed(&self) -> impl Iterator<Item = &Node> {
        let rotation = self.cluster().and_then(|cluster| cluster.rotation.as_ref());
        self.nodes().filter(move |node| {
            node.status.state != NodeState::Disconnected
                && rotation.is_some_and(|rotation| !rotation.renewed.contains(&node.id))
        })
    }
}
