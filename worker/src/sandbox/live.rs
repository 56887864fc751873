//! What a sandbox has only while the daemon runs. Knows: handles. Must not know: what is on disk.

use crate::dns::Names;
use crate::host::Host;
use crate::{WorkerError, dns};
use std::sync::Arc;
use swarm_model::SandboxId;
use swarm_netns::NetNs;
use tokio_util::sync::CancellationToken;

pub(crate) struct Live {
    pub(crate) netns: NetNs,
    /// Its networks, as its name server answers for them.
    pub(crate) names: Names,
    /// One operation at a time on one sandbox.
    pub(crate) busy: tokio::sync::Mutex<()>,
    /// Ends its name server and its watch.
    pub(crate) stop: CancellationToken,
}

impl Live {
    /// Takes a namespace in hand for a sandbox. Two sandboxes never share one: the other's id is the error.
    pub(crate) fn claim(host: &Host, id: SandboxId, netns: NetNs) -> Result<Arc<Self>, SandboxId> {
        let mut all = host.live.lock();
        if let Some((other, _)) = all.iter().find(|(_, live)| live.netns.id() == netns.id()) {
            return Err(*other);
        }
        let live = Arc::new(Self {
            netns,
            names: Names::new(Vec::new()),
            busy: tokio::sync::Mutex::default(),
            stop: host.stop.child_token(),
        });
        all.insert(id, live.clone());
        Ok(live)
    }

    /// Begins to answer names at 127.0.0.11 inside.
    pub(crate) async fn serve_names(&self, host: &Arc<Host>) -> Result<(), WorkerError> {
        let context = dns::Context {
            assignments: host.assignments.clone(),
            names: self.names.clone(),
            forwarder: host.forwarder.clone(),
            queries: host.queries.clone(),
            liveness: host.liveness.clone(),
        };
        let serving = dns::serve(&self.netns, context, self.stop.clone(), &host.tasks).await;
        serving.map_err(|e| WorkerError::Internal(format!("could not answer names at 127.0.0.11: {e}")))
    }
}
