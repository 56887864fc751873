//! The lock of the managers' files, and the key that opens them.
//! Knows: what is asked and answered. Must not know: files.

use crate::api::no_cluster;
use crate::authorise::Authorized;
use crate::failure::unexpected;
use crate::seat::{Seat, request_id};
use swarm_identity::{UnlockKey, UnlockKeyError};
use swarm_model::UnlockSecret;
use swarm_proto::v1;
use swarm_state::{Command, Reply, SetLock};
use tonic::Status;

pub async fn set(
    seat: &Seat,
    permit: Authorized<v1::SetLockRequest>,
) -> Result<v1::UnlockKeyResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let key = offered(&permit.request().key)?;
    let set = match permit.request().lock() {
        v1::Lock::Off => SetLock::Off,
        v1::Lock::On => SetLock::On(key),
        v1::Lock::Rotate => SetLock::Rotate(key),
    };
    match seat.proposer.propose(permit.map(|_| Command::SetLock(set)), request).await?.reply {
        // A retry, or a lock that was on already, has made another key the right one: what counts is what the cluster has.
        Reply::Done => seat.linearizer.barrier().await?,
        other => return Err(unexpected(&other)),
    }
    self::key(seat)
}

/// A key that whoever asks holds already: one that was only made here would be lost if all ended before the answer was
/// read, and every manager with it.
fn offered(text: &str) -> Result<UnlockSecret, Status> {
    let key = match text {
        "" => UnlockKey::generate(),
        text => text.parse().map_err(|e: UnlockKeyError| Status::invalid_argument(e.to_string()))?,
    };
    Ok(UnlockSecret(key.to_text().to_string()))
}

pub fn key(seat: &Seat) -> Result<v1::UnlockKeyResponse, Status> {
    seat.applied.read(|state| {
        let cluster = state.cluster().ok_or_else(no_cluster)?;
        let key = cluster.unlock_key.as_ref().map(|key| key.0.clone()).unwrap_or_default();
        Ok(v1::UnlockKeyResponse { key })
    })
}
