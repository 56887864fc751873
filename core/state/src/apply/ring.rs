//! Rules for the ring of the cluster's secrets. They are drawn by who proposes.

use super::Step;
use crate::{Event, Refusal, Reply, TurnRing};
use alloc::sync::Arc;

/// Only on the generation that the proposer saw: two who find it old at once turn it once.
pub fn turn(step: &mut Step<'_>, turn: &TurnRing) -> Result<Reply, Refusal> {
    let created_ms = step.wall_ms;
    let Some(cluster) = &mut step.state.tables.cluster else { return Err(Refusal::NoCluster) };
    let newest = cluster.ring.newest();
    if newest != turn.after {
        return Err(Refusal::RingTurned { newest });
    }
    Arc::make_mut(cluster).ring.turn(created_ms, turn.gossip.clone(), turn.pairs.clone());
    step.events.push(Event::RingChanged);
    Ok(Reply::Done)
}

/// Who knows the newest generation is no member any more, or the past of this cluster is in somebody's hands. Nothing where
/// there is no ring: then the cluster is of an earlier level, and stays as it was.
pub fn spend(step: &mut Step<'_>) {
    let Some(cluster) = &mut step.state.tables.cluster else { return };
    if cluster.ring.newest() > 0 && !cluster.ring.spent {
        Arc::make_mut(cluster).ring.spent = true;
        step.events.push(Event::RingChanged);
    }
}
