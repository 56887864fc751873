//! The worker's standing tasks beside the session. Knows: what wakes them. Must not know: what a sandbox is.

use crate::host::Host;
use crate::reconcile::Submitted;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{EndpointId, Revision};
use tokio::sync::Notify;
use tokio::time::Instant;

/// So long a start waits for a manager to confirm what the file says; the kernel has what it had meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most endpoints given back with one request.
const RELEASE_AT_ONCE: usize = 250;
const RELEASE_DEADLINE: Duration = Duration::from_secs(10);
/// Until the next attempt after a manager refused or did not answer.
const RELEASE_PAUSE: Duration = Duration::from_secs(1);

/// Brings every new assignment and every change of the host itself into the kernel, each at once, whatever is still
/// being waited for; says which revision holds.
pub(crate) async fn drive(host: Arc<Host>) {
    let (mut revisions, mut facts) = (host.assignments.watch(), host.facts.facts.clone());
    revisions.mark_changed();
    let newest = Arc::new(Newest::default());
    host.tasks.spawn(acknowledge(host.clone(), newest.clone()));
    let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
    loop {
        tokio::select! {
            () = &mut patience, if !host.assignments.may_act() => {
                host.assignments.act_without_manager();
                patience.as_mut().reset(Instant::now() + PATIENCE);
            }
            Ok(()) = revisions.changed() => {}
            Ok(()) = facts.changed() => {}
            () = host.stop.cancelled() => return,
            else => return,
        }
        let revision = *revisions.borrow_and_update();
        facts.mark_unchanged();
        disown(&host);
        if let (Some(revision), Some(submitted)) = (revision, host.submit()) {
            *newest.submitted.lock() = Some((revision, submitted));
            newest.news.notify_one();
        }
    }
}

/// A request that was given up may still have been carried out later: an endpoint of this node that no sandbox here asked
/// for is given back. One that is being asked for is on the list before the request goes out.
fn disown(host: &Host) {
    let node = host.config.node;
    // Looked at before the list: what is assigned by now was on the list before.
    let own: Vec<EndpointId> = host
        .assignments
        .read(|assigned| assigned.endpoints.values().filter(|e| e.node == node).map(|e| e.id).collect());
    let unknown: Vec<EndpointId> = host.store.read(|contents| {
        let links = contents.sandboxes.values().flat_map(|s| s.links.iter().map(|link| link.endpoint));
        let known: HashSet<EndpointId> = links.chain(contents.releasing.iter().copied()).collect();
        own.into_iter().filter(|id| !known.contains(id)).collect()
    });
    if !unknown.is_empty() && host.assignments.may_act() {
        tracing::info!("{} endpoints of this node belong to no sandbox and are given back", unknown.len());
        host.store.change(|contents| contents.releasing.extend(unknown));
    }
}

/// The newest submission nobody waits for yet; older ones are covered by it.
#[derive(Default)]
struct Newest {
    submitted: Mutex<Option<(Revision, Submitted)>>,
    news: Notify,
}

async fn acknowledge(host: Arc<Host>, newest: Arc<Newest>) {
    loop {
        let next = newest.submitted.lock().take();
        let working = async {
            match next {
                None => newest.news.notified().await,
                Some((revision, submitted)) => match submitted.all().await {
                    Ok(()) => {
                        host.assignments.zones.reveal(revision);
                        host.programmed.send_replace(revision);
                    }
                    Err(e) => {
                        // Whoever asks for a name may have better luck with it than with none.
                        host.assignments.zones.reveal(revision);
                        tracing::warn!("the kernel does not match revision {revision} yet: {e}");
                    }
                },
            }
        };
        tokio::select! {
            () = working => {}
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
