//! `network ls` on any host: a manager adds the cluster's networks to the host's own; a worker, and a manager that
//! reaches no leader, shows those of its endpoints, and `ingress`, which every cluster has.

use crate::daemon::Daemon;
use swarm_proto::v1 as pb;
use tonic::{Code, Request, Status};

/// # Errors
/// This host is outside any cluster, or the manager on it refuses.
pub async fn list(daemon: &Daemon) -> Result<Vec<pb::LocalNetwork>, Status> {
    let worker = daemon.worker()?;
    let mut networks = worker.networks();
    if let Ok(control) = daemon.control() {
        match control.list_networks(Request::new(pb::ListNetworksRequest {})).await {
            Ok(answer) => {
                networks.retain(|n| n.scope == "local");
                networks.extend(answer.into_inner().networks.into_iter().map(of_cluster));
            }
            Err(status) if status.code() == Code::Unavailable => {
                tracing::warn!(reason = status.message(), "network ls answers from this host's assignment");
            }
            Err(status) => return Err(status),
        }
    }
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(networks)
}

fn of_cluster(network: pb::Network) -> pb::LocalNetwork {
    let spec = network.spec.clone().unwrap_or_default();
    let driver = swarm_model::Driver::try_from(spec.driver()).map_or("overlay", swarm_model::Driver::as_str);
    pb::LocalNetwork {
        id: network.id.clone(),
        name: spec.name,
        driver: driver.into(),
        scope: "swarm".into(),
        network: Some(network),
    }
}
