//! The settings and the root CA of a living cluster: changed, replaced, and how far that is.
//! Knows: requests and the state. Must not know: how nodes renew, how a rotation ends (that is the leader's).

use crate::api::cluster::no_cluster;
use crate::authorise::Authorized;
use crate::failure::unexpected;
use crate::propose::now_ms;
use crate::seat::{Seat, request_id};
use swarm_identity::{CaError, RootCa};
use swarm_model::{Cluster, Node, NodeState, SettingsChange};
use swarm_proto::v1;
use swarm_state::{Command, Reply, RotateRoot, State, Verb};
use tonic::Status;

pub async fn update(
    seat: &Seat,
    permit: Authorized<v1::UpdateClusterRequest>,
) -> Result<v1::UpdateClusterResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let settings = seat.applied.read(|state| state.cluster().map(|cluster| cluster.settings.clone()));
    let settings = settings.ok_or_else(no_cluster)?;
    let command = permit.try_map(|asked| {
        let change = change(&asked);
        change.on(&settings).check_asked().map_err(|e| Status::invalid_argument(e.to_string()))?;
        Ok::<_, Status>(Command::UpdateSettings(change))
    })?;
    let done = seat.proposer.propose(command, request).await?;
    let Reply::Done = done.reply else { return Err(unexpected(&done.reply)) };
    seat.linearizer.applied_here(done.index).await?;
    let cluster = seat.applied.read(|state| state.cluster().map(Into::into));
    Ok(v1::UpdateClusterResponse { cluster: Some(cluster.ok_or_else(no_cluster)?) })
}

fn change(asked: &v1::UpdateClusterRequest) -> SettingsChange {
    SettingsChange {
        cert_expiry_ms: asked.cert_expiry_ms,
        cert_grace_ms: asked.cert_grace_ms,
        heartbeat_ms: asked.heartbeat_ms,
        key_rotation_ms: asked.key_rotation_ms,
        snapshot_interval: asked.snapshot_interval,
        max_snapshots: asked.max_snapshots,
    }
}

/// Begins; the records must be up to date. What comes of it stands in `rotation`.
pub async fn rotate(
    seat: &Seat,
    permit: Authorized<v1::RotateRootRequest>,
) -> Result<v1::RotateRootResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let (answered, cluster) =
        seat.applied.read(|state| (state.answered(&request, Verb::RotateRoot), state.cluster().cloned()));
    if let Some(Reply::Done) = answered {
        return Ok(v1::RotateRootResponse {});
    }
    let cluster = cluster.ok_or_else(no_cluster)?;
    let command = permit.try_map(|asked| {
        let rotate = successor(&cluster, &asked).map_err(|e| Status::invalid_argument(e.to_string()))?;
        Ok::<_, Status>(Command::RotateRoot(Box::new(rotate)))
    })?;
    match seat.proposer.propose(command, request).await?.reply {
        Reply::Done => Ok(v1::RotateRootResponse {}),
        other => Err(unexpected(&other)),
    }
}

fn successor(cluster: &Cluster, asked: &v1::RotateRootRequest) -> Result<RotateRoot, CaError> {
    let now_ms = now_ms();
    let old = RootCa::from_pem(&cluster.root_ca_cert, &cluster.root_ca_key)?;
    let new = match (asked.ca_cert.as_str(), asked.ca_key.as_str()) {
        ("", "") => RootCa::successor(cluster.id, now_ms)?,
        (cert, key) => {
            let lifetime_ms = asked.cert_expiry_ms.unwrap_or(cluster.settings.cert_expiry_ms);
            RootCa::external(cert, key, (now_ms, lifetime_ms))?
        }
    };
    Ok(RotateRoot {
        replaces: cluster.root_ca_cert.clone(),
        root_ca_cert: new.cert_pem().to_owned(),
        root_ca_key: new.key_pem()?.to_string(),
        cross_cert: old.cross_sign(&new, now_ms)?,
        cert_expiry_ms: asked.cert_expiry_ms,
    })
}

/// Whether the node's certificate is of the root that counts from now on.
pub fn tls_status(state: &State, node: &Node) -> v1::TlsStatus {
    let rotation = state.cluster().and_then(|cluster| cluster.rotation.as_ref());
    match rotation {
        _ if node.status.state == NodeState::Disconnected => v1::TlsStatus::Unspecified,
        Some(rotation) if !rotation.renewed.contains(&node.id) => v1::TlsStatus::NeedsRotation,
        Some(_) | None => v1::TlsStatus::Ready,
    }
}

/// How far the replacement of the root CA is, if there is one.
pub fn rotation(state: &State) -> Option<v1::RootRotation> {
    let rotation = state.cluster()?.rotation.as_ref()?;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let nodes = state.nodes().filter(|node| node.status.state != NodeState::Disconnected).count();
    let named = |here: bool| {
        let behind = state.not_renewed().filter(|node| (node.status.state == NodeState::Ready) == here);
        let mut hosts: Vec<String> = behind.map(|node| node.hostname.clone()).collect();
        hosts.sort();
        hosts
    };
    let (waiting, away) = (named(true), named(false));
    Some(v1::RootRotation {
        started_ms: rotation.started_ms,
        nodes: count(nodes),
        renewed: count(nodes.saturating_sub(waiting.len() + away.len())),
        waiting,
        away,
        root_ca_cert: rotation.root_ca_cert.clone(),
    })
}
