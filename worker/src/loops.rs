//! The worker's standing tasks beside the session. Knows: what wakes them. Must not know: what a sandbox is.

use crate::host::Host;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::EndpointId;

/// Most endpoints given back with one request.
const RELEASE_AT_ONCE: usize = 250;
const RELEASE_DEADLINE: Duration = Duration::from_secs(10);
/// Until the next attempt after a manager refused or did not answer.
const RELEASE_PAUSE: Duration = Duration::from_secs(1);

/// Brings every new assignment and every change of the host itself into the kernel, and says which revision holds.
pub(crate) async fn drive(host: Arc<Host>) {
    let (mut revisions, mut facts) = (host.assignments.watch(), host.facts.clone());
    revisions.mark_changed();
    loop {
        tokio::select! {
            Ok(()) = revisions.changed() => {}
            Ok(()) = facts.changed() => {}
            () = host.stop.cancelled() => return,
            else => return,
        }
        let revision = *revisions.borrow_and_update();
        facts.mark_unchanged();
        let (Some(revision), Some(submitted)) = (revision, host.submit()) else { continue };
        // A newer submission ends the wait for an older one, so changes are never held up here for long.
        tokio::select! {
            result = submitted.all() => match result {
                Ok(()) => drop(host.programmed.send_replace(revision)),
                Err(e) => tracing::warn!("the kernel does not match revision {revision} yet: {e}"),
            },
            () = host.stop.cancelled() => return,
        }
    }
}

/// Gives back to the managers what is not used any more, as soon as one of them can be reached.
pub(crate) async fn release(host: Arc<Host>) {
    let (mut changes, mut current) = (host.store.watch(), host.managers.watch_current());
    loop {
        let due = host.store.read(|contents| {
            contents.releasing.iter().copied().take(RELEASE_AT_ONCE).collect::<Vec<EndpointId>>()
        });
        // Without a session every call would dial in vain; and the next session's registration releases them anyway.
        if due.is_empty() || current.borrow_and_update().is_none() {
            tokio::select! {
                Ok(()) = changes.changed() => continue,
                Ok(()) = current.changed() => continue,
                () = host.stop.cancelled() => return,
                else => return,
            }
        }
        let released = tokio::select! {
            released = host.calls.release_endpoints(&due, RELEASE_DEADLINE) => released,
            () = host.stop.cancelled() => return,
        };
        match released {
            Ok(()) => {
                host.store.change(|contents| contents.releasing.retain(|id| !due.contains(id)));
            }
            Err(e) => {
                tracing::warn!("{} endpoints could not be given back yet: {e}", due.len());
                tokio::select! {
                    () = tokio::time::sleep(RELEASE_PAUSE) => {}
                    () = host.stop.cancelled() => return,
                }
            }
        }
    }
}
