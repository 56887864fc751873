//! A manager and its port: what is served on TCP 2377, from the first connection to the last.
//! Knows how the two are tied together; must not know what is served.

use crate::daemon::Daemon;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::{Connections, Credentials, Limits, Listener};
use swarm_manager::{Manager, ManagerConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// For a manager that is alone to lead: it waits for nobody.
const LEADS_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const STOP_DEADLINE: Duration = Duration::from_secs(1);

pub struct Serving {
    pub manager: Manager,
    pub connections: Connections,
    stop: CancellationToken,
    server: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

impl Serving {
    /// The port is bound before Raft's folder is touched.
    pub async fn start(
        daemon: Arc<Daemon>,
        listen: SocketAddr,
        config: ManagerConfig,
        credentials: Credentials,
    ) -> Result<Self, Status> {
        let listener = Listener::bind(listen, credentials.clone(), Limits::default())
            .await
            .map_err(|e| Status::failed_precondition(e.to_string()))?;
        let manager = Manager::start(config, credentials).await.map_err(crate::running::status)?;
        let (stop, connections) = (CancellationToken::new(), listener.connections());
        tracing::info!(addr = %listener.local_addr(), "listening for nodes");
        let server = tokio::spawn(serve(listener, manager.clone(), stop.clone()));
        tokio::spawn(end_with_raft(daemon, manager.clone(), stop.clone()));
        Ok(Self { manager, connections, stop, server: parking_lot::Mutex::new(Some(server)) })
    }

    /// Returns when a majority of the managers decides, this one being all of them or not.
    ///
    /// # Errors
    /// It takes longer than for one that waits for nobody.
    pub async fn leads(&self) -> Result<(), Status> {
        let leads = async {
            while !self.manager.has_quorum().await {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(LEADS_WITHIN, leads)
            .await
            .map_err(|_| Status::unavailable("the managers have no quorum: see `swarmctl info`"))
    }

    /// Hands leadership over, ends sessions, closes the port. Idempotent.
    pub async fn stop(&self) {
        let server = self.server.lock().take();
        // First, so that the end of Raft is not taken for a failure.
        self.stop.cancel();
        self.manager.shutdown().await;
        if let Some(mut server) = server
            && tokio::time::timeout(STOP_DEADLINE, &mut server).await.is_err()
        {
            server.abort();
        }
    }
}

async fn serve(listener: Listener, manager: Manager, stop: CancellationToken) {
    if let Err(error) = swarm_identity::serve(listener, manager.tls_routes(), stop).await {
        tracing::error!(%error, "the port for nodes is no longer served");
    }
}

/// A manager whose storage failed must not go on as if nothing were: the process ends, the data plane stays.
async fn end_with_raft(daemon: Arc<Daemon>, manager: Manager, stop: CancellationToken) {
    tokio::select! {
        // Looked at first: on a busy machine this may run only when Raft, which was told to stop, has ended already.
        biased;
        () = stop.cancelled() => {}
        reason = manager.twin() => daemon.set_broken(reason),
        reason = manager.stopped() => daemon.set_broken(format!("the manager stopped: {reason}")),
    }
}
