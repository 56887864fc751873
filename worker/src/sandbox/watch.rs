//! What ends a sandbox by itself: its process, or its path. Knows: when to look. Must not know: how it is taken down.

use super::end::end;
use super::record::{Origin, Phase};
use crate::host::Host;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::SandboxId;
use swarm_netns::{NsId, Process};

/// A path is looked at this often: nothing tells when a namespace's name is taken away.
const LOOK: Duration = Duration::from_secs(1);

/// Ends the sandbox when its process has ended.
pub(crate) fn watch_process(host: &Arc<Host>, id: SandboxId, process: Process) {
    let Some(live) = host.live(id) else { return };
    let (watching, stop) = (host.clone(), live.stop.clone());
    host.tasks.spawn(async move {
        tokio::select! {
            ended = process.exited() => {
                if let Err(e) = ended {
                    tracing::warn!("lost sight of process {}: {e}", process.id().pid);
                }
                end(&watching, id).await;
            }
            () = stop.cancelled() => {}
        }
    });
}

/// Ends sandboxes whose path does not show their namespace any more, until the worker stops.
pub(crate) async fn watch_paths(host: Arc<Host>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = host.stop.cancelled() => return,
        }
        for id in vanished(&host) {
            tracing::info!("sandbox {}: its namespace is gone from its path", id.short());
            end(&host, id).await;
        }
    }
}

fn vanished(host: &Host) -> Vec<SandboxId> {
    let watched = host.store.read(|contents| {
        let running = contents.sandboxes.values().filter(|s| matches!(s.phase, Phase::Running(_)));
        let by_path = running.filter_map(|s| match &s.origin {
            Origin::Path(path) => Some((s.id, path.clone())),
            Origin::Run | Origin::Process(_) | Origin::Handle => None,
        });
        by_path.collect::<Vec<_>>()
    });
    let gone = |(id, path): &(SandboxId, std::path::PathBuf)| {
        host.live(*id).is_some_and(|live| !shows(path, live.netns.id()))
    };
    watched.into_iter().filter(gone).map(|(id, _)| id).collect()
}

/// True while `path` shows that very namespace.
pub(crate) fn shows(path: &Path, netns: NsId) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| NsId { dev: meta.dev(), ino: meta.ino() } == netns)
}
