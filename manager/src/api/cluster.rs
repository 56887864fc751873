//! The cluster as one object, and its join tokens.
//! Knows: what of the cluster is shown to whom. Must not know: how tokens are checked (that is `ca`).

use crate::api::reachability::{is_to_stay, quorum_and_losses};
use crate::api::root::rotation;
use crate::authorise::Authorized;
use crate::failure::unexpected;
use crate::propose::ProposeFailed;
use crate::recovery;
use crate::seat::{Seat, request_id};
use swarm_identity::{CaDigest, JoinToken, random};
use swarm_model::{Cluster, Role};
use swarm_proto::{v1, word};
use swarm_state::{Command, Reply, RotateJoinSecret};
use tonic::Status;

pub async fn get(seat: &Seat) -> Result<v1::GetClusterResponse, Status> {
    let (quorum, mut warnings) = quorum_and_losses(seat).await;
    if quorum.leader.is_none() && !is_to_stay(seat) {
        let why = seat.proposer.no_leader().await;
        if matches!(why, ProposeFailed::LetGo(_)) {
            warnings = vec![why.to_string()];
        }
    }
    warnings.extend(seat.met.warnings(&recovery::lineage(seat)));
    seat.applied.read(|state| {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(v1::GetClusterResponse {
            cluster: Some(state.cluster().ok_or_else(no_cluster)?.into()),
            quorum: Some((&quorum).into()),
            nodes: count(state.nodes().len()),
            networks: count(state.networks().len()),
            endpoints: count(state.endpoints().len()),
            warnings,
            rotation: rotation(state),
        })
    })
}

pub fn join_token(seat: &Seat, request: &v1::GetJoinTokenRequest) -> Result<v1::JoinTokenResponse, Status> {
    token(seat, word("role", request.role)?)
}

pub async fn rotate(
    seat: &Seat,
    permit: Authorized<v1::RotateJoinTokenRequest>,
) -> Result<v1::JoinTokenResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let role = word("role", permit.request().role)?;
    let secret = random::secret();
    let command = permit.map(|_| Command::RotateJoinSecret(RotateJoinSecret { role, secret }));
    match seat.proposer.propose(command, request).await?.reply {
        // A retry of a request made the first secret the valid one: what counts is what the cluster has now.
        Reply::Done => seat.linearizer.barrier().await?,
        other => return Err(unexpected(&other)),
    }
    token(seat, role)
}

fn token(seat: &Seat, role: Role) -> Result<v1::JoinTokenResponse, Status> {
    let token = seat.applied.read(|state| join_token_of(state.cluster().ok_or_else(no_cluster)?, role))?;
    Ok(v1::JoinTokenResponse { token: token.to_string() })
}

/// The token that admits nodes of this role now.
fn join_token_of(cluster: &Cluster, role: Role) -> Result<JoinToken, Status> {
    let secret = match role {
        Role::Worker => &cluster.join_secrets.worker,
        Role::Manager => &cluster.join_secrets.manager,
    };
    JoinToken::new(ca_digest(cluster)?, secret).map_err(|e| Status::internal(e.to_string()))
}

pub fn ca_digest(cluster: &Cluster) -> Result<CaDigest, Status> {
    let ca = swarm_identity::RootCa::from_pem(&cluster.root_ca_cert, &cluster.root_ca_key);
    Ok(ca.map_err(|e| Status::internal(e.to_string()))?.digest())
}

pub fn no_cluster() -> Status {
    Status::unavailable("this manager has not received the cluster's state yet: try again shortly")
}
