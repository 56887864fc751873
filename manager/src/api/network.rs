//! Networks: create, look, remove, prune.
//! Knows: how these travel. Must not know: what is allocated how (that is decided in `apply`).

use crate::authorise::Authorized;
use crate::failure::{refusal, unexpected};
use crate::seat::{Seat, request_id};
use swarm_identity::random;
use swarm_model::HOST_NETWORKS;
use swarm_proto::{required, v1};
use swarm_state::{Command, CreateNetwork, Reply, Verb};
use tonic::Status;

pub async fn create(
    seat: &Seat,
    permit: Authorized<v1::CreateNetworkRequest>,
) -> Result<v1::CreateNetworkResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let avoid = (seat.host_routes)();
    let command = permit.try_map(|asked| {
        let spec = required("spec", asked.spec)?.try_into()?;
        Ok::<_, Status>(Command::CreateNetwork(CreateNetwork { id: random::new_id(), spec, avoid }))
    })?;
    match seat.proposer.propose(command, request).await?.reply {
        Reply::Network(network) => Ok(v1::CreateNetworkResponse { network: Some(network.as_ref().into()) }),
        other => Err(unexpected(&other)),
    }
}

pub fn list(seat: &Seat) -> v1::ListNetworksResponse {
    let networks = seat.applied.read(|state| state.networks().map(Into::into).collect());
    v1::ListNetworksResponse { networks }
}

pub fn get(seat: &Seat, request: &v1::GetNetworkRequest) -> Result<v1::GetNetworkResponse, Status> {
    seat.applied.read(|state| {
        let network = state.resolve_network(&request.reference).map_err(|e| refusal(&e))?;
        Ok(v1::GetNetworkResponse {
            network: Some(network.into()),
            endpoints: state.endpoints_on(&network.id).map(Into::into).collect(),
            peers: state.peers_on(&network.id).map(|peer| (&peer).into()).collect(),
        })
    })
}

/// The reference is resolved in fresh records; the caller has waited for them.
pub async fn remove(
    seat: &Seat,
    permit: Authorized<v1::RemoveNetworkRequest>,
) -> Result<v1::RemoveNetworkResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let reference = permit.request().reference.as_str();
    if HOST_NETWORKS.contains(&reference) {
        return Err(Status::failed_precondition(format!(
            "network {reference} is each host's own and cannot be removed"
        )));
    }
    // In one look: asked again, the request may have removed the network meanwhile.
    let network = seat.applied.read(|state| match state.answered(&request, Verb::RemoveNetwork) {
        Some(reply) => Err(removed(&reply)),
        None => state.resolve_network(reference).map(|network| network.id).map_err(|e| Err(refusal(&e))),
    });
    let network = match network {
        Ok(network) => network,
        Err(answer) => return answer,
    };
    let command = permit.map(|_| Command::RemoveNetwork { network });
    removed(&seat.proposer.propose(command, request).await?.reply)
}

fn removed(reply: &Reply) -> Result<v1::RemoveNetworkResponse, Status> {
    match reply {
        Reply::Removed { network, .. } => Ok(v1::RemoveNetworkResponse { id: network.to_string() }),
        Reply::Refused(reason) => Err(refusal(reason)),
        other => Err(unexpected(other)),
    }
}

pub async fn prune(
    seat: &Seat,
    permit: Authorized<v1::PruneNetworksRequest>,
) -> Result<v1::PruneNetworksResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let command = permit.map(|_| Command::PruneNetworks);
    match seat.proposer.propose(command, request).await?.reply {
        Reply::Pruned(names) => {
            Ok(v1::PruneNetworksResponse { names: names.iter().map(ToString::to_string).collect() })
        }
        other => Err(unexpected(&other)),
    }
}
