//! The end of a rotation of the root CA. Knows: who has renewed, by the record. Must not know: certificates.

use crate::seat::Seat;
use swarm_model::NodeId;
use swarm_state::{Command, State};

/// Takes the old root away once nobody needs it.
pub async fn finish(seat: &Seat) {
    let Some(rotation) = seat.applied.read(finished) else { return };
    match seat.propose_own(Command::FinishRotation { rotation }).await {
        Ok(_) => tracing::info!("every node has renewed: the old root CA counts no more"),
        Err(e) => tracing::debug!(reason = %e, "the rotation of the root CA did not end yet"),
    }
}

/// The rotation that only has to be ended.
pub fn finished(state: &State) -> Option<u64> {
    let rotation = state.cluster()?.rotation.as_ref()?;
    state.not_renewed().next().is_none().then_some(rotation.number)
}

/// The rotation to which a node's word adds something: it says that it uses a certificate of the root with this digest.
pub fn advanced_by(state: &State, node: NodeId, is_new_root: impl FnOnce(&str) -> bool) -> Option<u64> {
    let rotation = state.cluster()?.rotation.as_ref()?;
    let news = !rotation.renewed.contains(&node) && is_new_root(&rotation.root_ca_cert);
    news.then_some(rotation.number)
}
