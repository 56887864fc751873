//! How a sandbox ends, or loses a network. Knows: the order of taking down; errors never stop it. Must not know: why.

use super::begin::gone;
use super::files::refresh_files;
use super::links::unlink;
use super::live::Live;
use super::record::{Origin, Phase, Sandbox};
use super::select::{select, select_link};
use crate::WorkerError;
use crate::host::Host;
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{EndpointId, SandboxId};
use swarm_netns::{NetNs, Process};
use swarm_proto::v1;

/// So long an answer waits for the managers to have taken the endpoints back, so that `network rm` works right after.
/// When they are away, the host's side is done all the same and the rest follows.
const RELEASE_WAIT: Duration = Duration::from_secs(3);
/// A killed process is gone after this, or stuck in the kernel.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// So long the end of a sandbox waits for what its command has left running.
const CLEAR_WAIT: Duration = Duration::from_secs(2);

/// Ends a sandbox in the background of an error: nobody waits for the managers.
pub(crate) async fn take_back(host: &Arc<Host>, id: SandboxId) {
    let _ = end(host, id).await;
}

/// Takes a sandbox down, whatever phase it is in. Returns the endpoints that are being given back. Twice is fine.
pub(crate) async fn end(host: &Arc<Host>, id: SandboxId) -> Vec<EndpointId> {
    let live = host.live(id);
    let _busy = match &live {
        Some(live) => Some(live.busy.lock().await),
        None => None,
    };
    let abandoned = made_here(host, id, live.as_deref());
    let endpoints = condemn(host, id);
    if let Some(live) = &live {
        live.stop.cancel();
    }
    tokio::join!(host.unprogram(id), clear(abandoned));
    let (netns, files) = (host.config.netns_of(id), host.config.files_of(id));
    let remove = move || {
        if let Err(e) = swarm_netns::remove(&netns) {
            tracing::warn!("{e}");
        }
        match std::fs::remove_dir_all(&files) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("could not remove {}: {e}", files.display());
            }
            _ => {}
        }
    };
    if let Err(e) = tokio::task::spawn_blocking(remove).await {
        tracing::warn!("taking down sandbox {}: {e}", id.short());
    }
    host.live.lock().remove(&id);
    host.store.change(|contents| contents.sandboxes.remove(&id));
    endpoints
}

/// The namespace of a sandbox made for a command. One that was attached is its owner's, with all that runs in it.
fn made_here(host: &Host, id: SandboxId, live: Option<&Live>) -> Option<NetNs> {
    host.store.get(id).filter(|sandbox| sandbox.origin == Origin::Run)?;
    let netns = live.map(|live| live.netns.clone());
    let netns = netns.or_else(|| NetNs::open(&host.config.netns_of(id)).ok())?;
    (netns.id() != host.own_netns).then_some(netns)
}

/// Kills what a command has left running in its namespace, where it would live on without interfaces. Looks again until
/// nobody is there: a process may start another one while it is being killed.
async fn clear(abandoned: Option<NetNs>) {
    let Some(netns) = abandoned else { return };
    let deadline = tokio::time::Instant::now() + CLEAR_WAIT;
    loop {
        let looking = netns.clone();
        let left = tokio::task::spawn_blocking(move || looking.inhabitants()).await;
        let left = match left.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
            Ok(left) if left.is_empty() => return,
            Ok(left) => left,
            Err(e) => return tracing::warn!("could not look for what a command has left running: {e}"),
        };
        for process in &left {
            if let Err(e) = process.signal(Signal::SIGKILL) {
                tracing::warn!("could not kill process {}: {e}", process.id().pid);
            }
        }
        let gone = futures::future::join_all(left.iter().map(Process::exited));
        if tokio::time::timeout_at(deadline, gone).await.is_err() {
            let pids: Vec<i32> = left.iter().map(|process| process.id().pid).collect();
            return tracing::warn!("of what a command has left running, these do not end: {pids:?}");
        }
    }
}

/// From here on it is not desired, and its endpoints are on their way back.
pub(crate) fn condemn(host: &Host, id: SandboxId) -> Vec<EndpointId> {
    let (endpoints, _) = host.store.change(|contents| {
        let Some(sandbox) = contents.sandboxes.get_mut(&id) else { return Vec::new() };
        sandbox.phase = Phase::Removing;
        let endpoints: Vec<EndpointId> = sandbox.links.drain(..).map(|link| link.endpoint).collect();
        contents.releasing.extend(endpoints.iter().copied());
        endpoints
    });
    endpoints
}

/// `rm`: a running command only by force, and then it is killed.
pub(crate) async fn remove(host: Arc<Host>, reference: String, force: bool) -> Result<String, WorkerError> {
    let sandbox = find(&host, &reference)?;
    match (&sandbox.origin, sandbox.phase, force) {
        (Origin::Run, Phase::Running(_), false) => {
            return Err(WorkerError::Precondition(format!(
                "sandbox {} is running: end its command, or use `swarmctl rm -f {reference}`",
                sandbox.name
            )));
        }
        (Origin::Path(_) | Origin::Process(_) | Origin::Handle, Phase::Running(_), false) => {
            return Err(WorkerError::Precondition(format!(
                "sandbox {} is attached: use `swarmctl detach {reference}` or `swarmctl rm -f {reference}`",
                sandbox.name
            )));
        }
        (_, Phase::Creating | Phase::Ready | Phase::Running(_) | Phase::Removing, _) => {}
    }
    kill(&sandbox).await;
    let endpoints = end(&host, sandbox.id).await;
    host.released(&endpoints, RELEASE_WAIT).await;
    Ok(sandbox.id.to_string())
}

/// Kills the command of a sandbox made here; processes of attached ones are not ours.
async fn kill(sandbox: &Sandbox) {
    let process = match (&sandbox.origin, sandbox.process()) {
        (Origin::Run, Some(process)) => Process::reopen(process),
        (Origin::Run | Origin::Path(_) | Origin::Process(_) | Origin::Handle, _) => return,
    };
    let Ok(process) = process else { return };
    if let Err(e) = process.signal(Signal::SIGKILL) {
        tracing::warn!("could not kill process {}: {e}", process.id().pid);
    }
    if tokio::time::timeout(KILL_WAIT, process.exited()).await.is_err() {
        tracing::warn!("process {} does not end", process.id().pid);
    }
}

/// `detach`: from one network, or from all, which ends the sandbox. Those made for a command end with it instead.
pub(crate) async fn detach(host: Arc<Host>, request: v1::DetachRequest) -> Result<(), WorkerError> {
    let sandbox = find(&host, &request.reference)?;
    if sandbox.origin == Origin::Run {
        return Err(WorkerError::Precondition(format!(
            "sandbox {} was made by `run` and ends with its command: use `swarmctl network disconnect` or `swarmctl rm -f`",
            sandbox.name
        )));
    }
    if !request.network.is_empty() {
        disconnect_from(&host, sandbox.id, &request.network).await?;
        if host.store.get(sandbox.id).is_some_and(|left| !left.links.is_empty()) {
            return Ok(());
        }
    }
    let endpoints = end(&host, sandbox.id).await;
    host.released(&endpoints, RELEASE_WAIT).await;
    Ok(())
}

/// `network disconnect`.
pub(crate) async fn disconnect(host: Arc<Host>, request: v1::DisconnectRequest) -> Result<(), WorkerError> {
    let sandbox = find(&host, &request.target)?;
    disconnect_from(&host, sandbox.id, &request.network).await
}

async fn disconnect_from(host: &Arc<Host>, id: SandboxId, network: &str) -> Result<(), WorkerError> {
    let live = host.live(id).ok_or_else(gone)?;
    let _busy = live.busy.lock().await;
    let sandbox = host.store.get(id).ok_or_else(gone)?;
    let link = host.assignments.read(|assigned| select_link(&sandbox, assigned, network).cloned())?;
    unlink(host, id, link.endpoint);
    live.names.set(host.store.get(id).map(|left| left.networks()).unwrap_or_default());
    tokio::join!(host.unprogram(id), refresh_files(host, id));
    host.released(&[link.endpoint], RELEASE_WAIT).await;
    Ok(())
}

/// Ends every sandbox, for `leave`; commands made here are killed. Returns their names.
pub(crate) async fn end_all(host: &Arc<Host>) -> Vec<String> {
    let all = host.store.read(|contents| contents.sandboxes.values().cloned().collect::<Vec<_>>());
    let mut names: Vec<String> = all.iter().map(|sandbox| sandbox.name.to_string()).collect();
    names.sort();
    let ending = all.into_iter().map(|sandbox| async move {
        kill(&sandbox).await;
        end(host, sandbox.id).await;
    });
    futures::future::join_all(ending).await;
    names
}

fn find(host: &Host, reference: &str) -> Result<Sandbox, WorkerError> {
    host.store.read(|contents| select(contents.sandboxes.values(), reference).cloned())
}
