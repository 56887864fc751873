//! `network ls` on any host: a manager adds the cluster's networks to the host's own; a worker, and a manager that has just
//! started, shows those of its endpoints, and `ingress`, which every cluster has.

use crate::daemon::Daemon;
use swarm_proto::{ACCEPT_STALE, STALE, v1 as pb};
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Response, Status};

/// # Errors
/// This host is outside any cluster, or the manager on it refuses.
pub async fn list(
    daemon: &Daemon,
    asked: Request<pb::ListLocalNetworksRequest>,
) -> Result<Response<pb::ListLocalNetworksResponse>, Status> {
    let worker = daemon.worker()?;
    let mut networks = worker.networks();
    let mut said = MetadataMap::new();
    if let Ok(control) = daemon.control() {
        // Whether an old answer will do is the caller's word; that it is one, the manager's.
        let mut question = Request::new(pb::ListNetworksRequest {});
        pass(ACCEPT_STALE, asked.metadata(), question.metadata_mut());
        match control.list_networks(question).await {
            Ok(answer) => {
                pass(STALE, answer.metadata(), &mut said);
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
    Ok(Response::from_parts(said, pb::ListLocalNetworksResponse { networks }, Extensions::default()))
}

fn pass(word: &'static str, from: &MetadataMap, to: &mut MetadataMap) {
    if let Some(value) = from.get(word) {
        to.insert(word, value.clone());
    }
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
