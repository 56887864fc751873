//! What the managers have given this node to gossip with: whom, and with which keys. Must not know what is made of it.

use crate::host::Host;
use std::net::SocketAddr;
use std::sync::Arc;
use swarm_gossip::Number;
use swarm_model as model;
use tokio::sync::watch;

#[derive(Clone, PartialEq, Default)]
pub(super) struct Given {
    pub keys: Vec<model::GossipKey>,
    pub roster: Vec<(Number, SocketAddr)>,
}

impl Given {
    fn now(host: &Host) -> Self {
        let member = |m: &model::Member| Some((Number::of(&m.node)?, m.addr));
        host.assignments.read(|assigned| Self {
            keys: assigned.defaults.gossip_keys.clone(),
            roster: assigned.members.values().filter_map(member).collect(),
        })
    }
}

/// Follows the assignment; without a manager the last one goes on.
pub(super) fn follow(host: Arc<Host>) -> watch::Receiver<Given> {
    let mut revisions = host.assignments.watch();
    let (given, follower) = watch::channel(Given::now(&host));
    let tasks = host.tasks.clone();
    tasks.spawn(async move {
        loop {
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                () = host.stop.cancelled() => return,
            }
            revisions.mark_unchanged();
            let now = Given::now(&host);
            given.send_if_modified(|before| {
                let changed = *before != now;
                *before = now;
                changed
            });
        }
    });
    follower
}
