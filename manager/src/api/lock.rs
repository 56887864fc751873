//! The lock of the managers' files, and the key that opens them.
//! Knows: what is asked and answered. Must not know: files.

use crate::api::no_cluster;
use crate::authorise::Authorized;
use crate::failure::unexpected;
use crate::seat::{Seat, request_id};
use swarm_identity::UnlockKey;
use swarm_model::UnlockSecret;
use swarm_proto::v1;
use swarm_state::{Command, Reply, SetLock};
use tonic::Status;

pub async fn set(
    seat: &Seat,
    permit: Authorized<v1::SetLockRequest>,
) -> Result<v1::UnlockKeyResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let fresh = || UnlockSecret(UnlockKey::generate().to_text().to_string());
    let set = match permit.request().lock() {
        v1::Lock::Off => SetLock::Off,
        v1::Lock::On => SetLock::On(fresh()),
        v1::Lock::Rotate => SetLock::Rotate(fresh()),
    };
    match seat.proposer.propose(permit.map(|_| Command::SetLock(set)), request).await?.reply {
        // A retry, or a lock that was on already, has made another key the right one: what counts is what the cluster has.
        Reply::Done => seat.linearizer.barrier().await?,
        other => return Err(unexpected(&other)),
    }
    key(seat)
}

pub fn key(seat: &Seat) -> Result<v1::UnlockKeyResponse, Status> {
    seat.applied.read(|state| {
        let cluster = state.cluster().ok_or_else(no_cluster)?;
        let key = cluster.unlock_key.as_ref().map(|key| key.0.clone()).unwrap_or_default();
        Ok(v1::UnlockKeyResponse { key })
    })
}
