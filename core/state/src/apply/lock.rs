//! Rules for the lock of the managers' files.

use super::{Step, size};
use crate::{Event, Refusal, Reply, SetLock};
use alloc::sync::Arc;
use swarm_model::UnlockSecret;

const MAX_SECRET_BYTES: usize = 128;

/// Turning on what is on changes nothing: the key that was given out stays the right one.
pub fn set(step: &mut Step<'_>, set: &SetLock) -> Result<Reply, Refusal> {
    if let SetLock::On(key) | SetLock::Rotate(key) = set {
        size::check_text("the unlock key", &key.0, MAX_SECRET_BYTES)?;
    }
    let Some(cluster) = &mut step.state.tables.cluster else { return Err(Refusal::NoCluster) };
    let wanted: Option<&UnlockSecret> = match (set, &cluster.unlock_key) {
        (SetLock::Off, _) => None,
        (SetLock::On(_), Some(kept)) => Some(kept),
        (SetLock::On(fresh), None) => Some(fresh),
        (SetLock::Rotate(fresh), Some(_)) => Some(fresh),
        (SetLock::Rotate(_), None) => return Err(Refusal::NoLock),
    };
    if wanted == cluster.unlock_key.as_ref() {
        return Ok(Reply::Done);
    }
    let wanted = wanted.cloned();
    let cluster = Arc::make_mut(cluster);
    cluster.settings.autolock = wanted.is_some();
    cluster.unlock_key = wanted;
    step.events.push(Event::LockChanged);
    Ok(Reply::Done)
}
