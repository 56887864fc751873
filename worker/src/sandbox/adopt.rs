//! Taking up, after a restart of the daemon or the host, what is still there. Knows: what is kept and what is taken
//! back. Must not know: the assignment.

use super::end::{condemn, end};
use super::files::write_files;
use super::live::Live;
use super::record::{Origin, Phase, Sandbox};
use super::watch::{shows, watch_process};
use crate::host::Host;
use std::collections::BTreeSet;
use std::sync::Arc;
use swarm_model::SandboxId;
use swarm_netns::{NetNs, Process};

/// Adopts what still runs; whatever was on its way in or out is taken back. Touches no interface of what it keeps.
pub(crate) async fn adopt(host: &Arc<Host>) {
    remove_strangers(host);
    let all = host.store.read(|contents| contents.sandboxes.values().cloned().collect::<Vec<_>>());
    let mut gone = Vec::new();
    for sandbox in all {
        match hold(host, &sandbox) {
            Ok((live, process)) => keep(host, &sandbox, &live, process).await,
            Err(why) => {
                tracing::info!("sandbox {} is taken back: {why}", sandbox.name);
                condemn(host, sandbox.id);
                gone.push(sandbox.id);
            }
        }
    }
    futures::future::join_all(gone.into_iter().map(|id| end(host, id))).await;
}

async fn keep(host: &Arc<Host>, sandbox: &Sandbox, live: &Live, process: Option<Process>) {
    drop_unallocated(host, sandbox.id);
    live.names.set(host.store.get(sandbox.id).map(|kept| kept.networks()).unwrap_or_default());
    if let Some(process) = process {
        watch_process(host, sandbox.id, process);
    }
    // After a restart of the host the folder is gone; otherwise it may be mounted somewhere and stays as it is.
    if !host.config.files_of(sandbox.id).exists()
        && let Err(e) = write_files(host, sandbox).await
    {
        tracing::warn!("sandbox {}: {e}", sandbox.name);
    }
    if let Err(e) = live.serve_names(host).await {
        tracing::warn!("sandbox {}: {e}", sandbox.name);
    }
}

/// Its handles, if it is to be kept; else why not.
fn hold(host: &Host, sandbox: &Sandbox) -> Result<(Arc<Live>, Option<Process>), String> {
    match sandbox.phase {
        Phase::Running(_) => {}
        Phase::Creating | Phase::Ready | Phase::Removing => return Err("it was not finished".into()),
    }
    let process = sandbox.process().map(Process::reopen).transpose().map_err(|e| e.to_string())?;
    let name = host.config.netns_of(sandbox.id);
    let netns = match (NetNs::open(&name), &sandbox.origin) {
        (Ok(netns), Origin::Path(path)) if !shows(path, netns.id()) => {
            return Err(format!("{} shows another namespace, or none", path.display()));
        }
        (Ok(netns), _) => netns,
        // The host was restarted: our names are gone, and the path shows a new namespace.
        (Err(_), Origin::Path(path)) => rename(path, &name)?,
        (Err(e), Origin::Run | Origin::Process(_) | Origin::Handle) => return Err(e.to_string()),
    };
    let live =
        Live::claim(host, sandbox.id, netns).map_err(|other| format!("sandbox {other} has its namespace"))?;
    Ok((live, process))
}

fn rename(path: &std::path::Path, name: &std::path::Path) -> Result<NetNs, String> {
    let netns = NetNs::open(path).map_err(|e| e.to_string())?;
    netns.bind_at(name).map_err(|e| e.to_string())?;
    Ok(netns)
}

/// A `connect` that was cut short leaves a link nobody was told of.
fn drop_unallocated(host: &Host, id: SandboxId) {
    let half = |sandbox: &Sandbox| sandbox.links.iter().any(|link| link.network.is_none());
    if !host.store.get(id).is_some_and(|sandbox| half(&sandbox)) {
        return;
    }
    host.store.change(|contents| {
        let Some(sandbox) = contents.sandboxes.get_mut(&id) else { return };
        let (kept, dropped) = sandbox.links.drain(..).partition(|link| link.network.is_some());
        sandbox.links = kept;
        let dropped: Vec<super::Link> = dropped;
        contents.releasing.extend(dropped.iter().map(|link| link.endpoint));
    });
}

/// Names and folders below the run-dir that belong to no sandbox on the list.
fn remove_strangers(host: &Host) {
    let known: BTreeSet<SandboxId> = host.store.read(|contents| contents.sandboxes.keys().copied().collect());
    for entry in entries(&host.config.netns_dir()) {
        let ours = entry.starts_with("sb-") && !known.iter().any(|id| entry.ends_with(id.short()));
        if ours && let Err(e) = swarm_netns::remove(&host.config.netns_dir().join(&entry)) {
            tracing::warn!("{e}");
        }
    }
    let folders = host.config.run_dir.join("sandboxes");
    for entry in entries(&folders) {
        if !known.iter().any(|id| id.as_str() == entry) {
            let _ = std::fs::remove_dir_all(folders.join(entry));
        }
    }
}

fn entries(dir: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
