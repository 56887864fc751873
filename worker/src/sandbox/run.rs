//! Sandboxes made here for a command. Knows: the two halves, before and after the caller has started it.
//! Must not know: how a command is started.

use super::begin::{Beginning, begin, gone};
use super::end::take_back;
use super::record::{Origin, Phase, Sandbox};
use super::request;
use super::show::view;
use super::watch::watch_process;
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
    begin(host, beginning, Phase::Ready).await?;
    Ok(id)
}

/// Second half: the command runs as `pid`. One that has ended already is fine: so has the sandbox then.
pub(crate) async fn started(host: &Arc<Host>, id: SandboxId, pid: i32) -> Result<v1::Sandbox, WorkerError> {
    let live = host.live(id).ok_or_else(gone)?;
    let process = match Process::open(pid) {
        Ok(process) => process,
        Err(NsError::NoSuchProcess { .. }) => return ended_already(host, id).await,
        Err(e) => return Err(e.into()),
    };
    // Whoever may use the local socket could else have any process killed with the sandbox.
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

/// Writes down the new phase, and answers only when it is on disk: after a restart it decides what is kept.
async fn settle(host: &Arc<Host>, id: SandboxId, phase: Phase) -> Result<(), WorkerError> {
    let advance = |sandbox: &mut Sandbox| match sandbox.phase {
        Phase::Removing => false,
        Phase::Creating | Phase::Ready | Phase::Running(_) => {
            sandbox.phase = phase;
            true
        }
    };
    let (advanced, change) = host.store.update(id, advance);
    if advanced != Some(true) {
        return Err(gone());
    }
    if let Err(e) = host.store.saved(change).await {
        take_back(host, id).await;
        return Err(e);
    }
    Ok(())
}

async fn ended_already(host: &Arc<Host>, id: SandboxId) -> Result<v1::Sandbox, WorkerError> {
    let view = view(host, id).ok_or_else(gone)?;
    take_back(host, id).await;
    Ok(v1::Sandbox { state: v1::SandboxState::Exited.into(), ..view })
}
