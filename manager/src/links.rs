//! Channels to the other managers, one per manager, kept while they work.
//! Knows: how a manager is dialled. Must not know: what is asked over a channel.

use crate::addresses::AddressBook;
use futures::FutureExt;
use futures::future::{BoxFuture, select_ok};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use swarm_identity::Dialler;
use swarm_model::NodeId;
use swarm_proto::MAX_MESSAGE_BYTES;
use swarm_proto::v1::membership_client::MembershipClient;
use swarm_raft::Member;
use tonic::transport::Channel;

/// Cheap to clone; all clones share the channels.
#[derive(Clone)]
pub struct Links {
    dialler: Dialler,
    open: Arc<Mutex<BTreeMap<NodeId, (SocketAddr, Channel)>>>,
    book: Arc<Mutex<AddressBook>>,
}

/// The sentence says which manager could not be reached and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot reach the manager {member}: {reason}")]
pub struct Unreachable {
    pub member: String,
    pub reason: String,
}

impl Links {
    pub fn new(dialler: Dialler) -> Self {
        Self { dialler, open: Arc::default(), book: Arc::default() }
    }

    /// A client of that manager's Membership service; dialled when there is no channel to that address yet.
    pub async fn membership(&self, member: &Member) -> Result<MembershipClient<Channel>, Unreachable> {
        let channel = self.channel(member).await?;
        let client = MembershipClient::new(channel);
        Ok(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    async fn channel(&self, member: &Member) -> Result<Channel, Unreachable> {
        let unreachable = |reason: String| Unreachable { member: member.to_string(), reason };
        let node: NodeId = member.node.parse().map_err(|e| unreachable(format!("{e}")))?;
        if let Some((addr, channel)) = self.open.lock().get(&node)
            && *addr == member.addr
        {
            return Ok(channel.clone());
        }
        let channel = self.find(node, member.addr).await.map_err(unreachable)?;
        self.open.lock().insert(node, (member.addr, channel.clone()));
        Ok(channel)
    }

    /// A new channel to a manager, wherever it answers first: where the record says, or where it said itself that it is.
    pub async fn find(&self, node: NodeId, recorded: SocketAddr) -> Result<Channel, String> {
        let candidates = self.book().candidates(node, recorded);
        let dials = candidates.into_iter().map(|addr| {
            let dial = async move { self.dial(addr, node).await.map(|channel| (addr, channel)) };
            dial.boxed()
        });
        let ((addr, channel), _) = select_ok(dials).await?;
        self.book().answered(node, addr);
        Ok(channel)
    }

    /// Where managers said that they are found. Held for a moment only.
    pub fn book(&self) -> MutexGuard<'_, AddressBook> {
        self.book.lock()
    }

    /// A new channel that ends at this node and nobody else; made and proven before this returns.
    pub async fn dial(&self, addr: SocketAddr, node: NodeId) -> Result<Channel, String> {
        self.dialler.to_node(addr, node).await.map_err(|e| e.to_string())
    }

    /// Forgets the channel to a manager that failed to answer, so that the next call dials again.
    pub fn failed(&self, member: &Member) {
        if let Ok(node) = member.node.parse::<NodeId>() {
            self.forget(node);
        }
    }

    /// As `failed`, for one that has moved.
    pub fn forget(&self, node: NodeId) {
        self.open.lock().remove(&node);
    }
}

impl swarm_raft::Dial for Links {
    fn channel(&self, member: &Member) -> BoxFuture<'static, Result<Channel, String>> {
        let (links, member) = (self.clone(), member.clone());
        Box::pin(async move {
            let node = member.node.parse::<NodeId>().map_err(|e| e.to_string())?;
            links.find(node, member.addr).await
        })
    }
}
