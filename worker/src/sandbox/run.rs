//! Sandboxes made here for a command. Knows: the two halves, before and after the caller has started it.
//! Must not know: how a command is started.

use super::begin::{Beginning, begin, gone, settle};
use super::end::take_back;
use super::record::{Origin, Phase, Sandbox};
use super::show::view;
use super::watch::watch_process;
use super::{files, request};
use crate::WorkerError;
use crate::host::Host;
use std::sync::Arc;
use swarm_model::SandboxId;
use swarm_netns::{NetNs, NsError, Process};
use swarm_proto::v1;

/// First half: everything but the command.
pub(crate) async fn prepare(host: &Arc<Host>, create: v1::RunCreate) -> Result<SandboxId, WorkerError> {
    let id: SandboxId = swarm_identity::random::new_id();
    let name = if create.name.is_empty() { id.short() } else { &create.name };
    let name = request::name(name)?;
    let hostname = if create.hostname.is_empty() { name.to_string() } else { create.hostname };
    request::check_hostname(&hostname)?;
    let beginning = Beginning {
        id,
        name,
        origin: Origin::Run,
        hostname,
        command: create.command,
        wanted: request::wanted(create.attachments)?,
        netns: None,
    };
    begin(host, beginning).await?;
    let readied = async {
        let sandbox = host.store.get(id).ok_or_else(gone)?;
        write_files(host, &sandbox).await?;
        settle(host, id, Phase::Ready).await
    };
    if let Err(e) = readied.await {
        take_back(host, id).await;
        return Err(e);
    }
    Ok(id)
}

async fn write_files(host: &Host, sandbox: &Sandbox) -> Result<(), WorkerError> {
    let ips = host.assignments.read(|assigned| {
        let endpoints = sandbox.links.iter().filter_map(|link| assigned.endpoints.get(&link.endpoint));
        endpoints.flat_map(|endpoint| endpoint.ips()).collect::<Vec<_>>()
    });
    let (dir, conf, sandbox) =
        (host.config.files_of(sandbox.id), host.config.resolv_conf.clone(), sandbox.clone());
    let write = move || {
        // A host without the file has no search list; what names mean outside is the forwarder's business.
        let host_conf = std::fs::read_to_string(conf).unwrap_or_default();
        files::write(&dir, &sandbox, &ips, &host_conf).map_err(|e| (dir, e))
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|e| WorkerError::Internal(e.to_string()))?.map_err(|(dir, e)| {
        WorkerError::Internal(format!("could not write the sandbox's files in {}: {e}", dir.display()))
    })
}

/// Second half: the command runs as `pid`. One that has ended already is fine: so has the sandbox then.
pub(crate) async fn started(host: &Arc<Host>, id: SandboxId, pid: i32) -> Result<v1::Sandbox, WorkerError> {
    let live = host.live(id).ok_or_else(gone)?;
    let process = match Process::open(pid) {
        Ok(process) => process,
        Err(NsError::NoSuchProcess { .. }) => return ended_already(host, id).await,
        Err(e) => return Err(e.into()),
    };
    match NetNs::of_pid(pid) {
        Ok(netns) if netns.id() == live.netns.id() => {}
        Ok(_) => {
            return Err(WorkerError::Invalid(format!(
                "process {pid} is not in the sandbox's network namespace"
            )));
        }
        Err(_) => return ended_already(host, id).await,
    }
    settle(host, id, Phase::Running(Some(process.id().into()))).await?;
    watch_process(host, id, process);
    view(host, id).ok_or_else(gone)
}

async fn ended_already(host: &Arc<Host>, id: SandboxId) -> Result<v1::Sandbox, WorkerError> {
    let view = view(host, id).ok_or_else(gone)?;
    take_back(host, id).await;
    Ok(v1::Sandbox { state: v1::SandboxState::Exited.into(), ..view })
}
