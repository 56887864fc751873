//! How a sandbox comes to be: intent on disk, addresses from a manager, namespace, kernel, names; each step can be taken
//! back. Knows: the order. Must not know: what a command is.

use super::end::take_back;
use super::files::write_files;
use super::links::{allocate, await_revision, pick_ifnames};
use super::live::Live;
use super::record::{Link, Origin, Phase, Sandbox};
use super::request::{self, Wanted};
use super::watch::{shows, watch_process};
use crate::WorkerError;
use crate::host::Host;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use swarm_model::{DnsName, EndpointId, SandboxId};
use swarm_netns::{NetNs, Process};
use swarm_overlay::gateway;
use swarm_proto::v1;

/// A sandbox to be.
pub(crate) struct Beginning {
    pub(crate) id: SandboxId,
    pub(crate) name: DnsName,
    pub(crate) origin: Origin,
    pub(crate) hostname: String,
    pub(crate) command: Vec<String>,
    pub(crate) wanted: Vec<Wanted>,
    /// `None`: one is made.
    pub(crate) netns: Option<NetNs>,
}

/// Attaches a namespace that somebody else made.
pub(crate) async fn attach(host: Arc<Host>, request: v1::AttachRequest) -> Result<SandboxId, WorkerError> {
    let attachment = request.attachment.clone().unwrap_or_default();
    request::refuse_local(&attachment.network)?;
    let wanted = Wanted::try_from(attachment)?;
    let name = request::name(&request.name)?;
    let (netns, origin) = open(&host, &request)?;
    if let Some((id, held)) = sandbox_in(&host, &netns) {
        return match held == name {
            true => super::links::connect_wanted(host, id, wanted).await.map(|()| id),
            false => Err(WorkerError::Exists(format!(
                "this namespace is sandbox {held} already: use `swarmctl network connect {} {held}`",
                wanted.network
            ))),
        };
    }
    let beginning = Beginning {
        id: swarm_identity::random::new_id(),
        hostname: name.to_string(),
        name,
        origin,
        command: Vec::new(),
        wanted: vec![wanted],
        netns: Some(netns),
    };
    let id = beginning.id;
    begin(&host, beginning).await?;
    settle(&host, id, Phase::Running(None)).await?;
    match host.store.get(id).and_then(|sandbox| sandbox.process()).map(Process::reopen) {
        None => Ok(id),
        Some(Ok(process)) => {
            watch_process(&host, id, process);
            Ok(id)
        }
        // It ended while it was being attached.
        Some(Err(e)) => {
            take_back(&host, id).await;
            Err(e.into())
        }
    }
}

/// Everything up to the point where only the phase is left to be changed. On an error nothing is left.
pub(crate) async fn begin(host: &Arc<Host>, beginning: Beginning) -> Result<(), WorkerError> {
    let (id, wanted) = (beginning.id, beginning.wanted.clone());
    let given = beginning.netns.clone().map(|netns| claim(host, id, netns)).transpose()?;
    let (change, asked) = reserve(host, beginning).inspect_err(|_| drop(host.live.lock().remove(&id)))?;
    let begun = async {
        host.store.saved(change).await?;
        let named = name_netns(host, id, given.as_ref().map(|live| live.netns.clone()));
        let (netns, allocated) = tokio::join!(named, allocate(host, id, &wanted));
        let (netns, revision) = (netns?, allocated?);
        let live = given.clone().map_or_else(|| claim(host, id, netns), Ok)?;
        let sandbox = host.store.get(id).ok_or_else(gone)?;
        live.names.set(sandbox.networks());
        await_revision(host, revision).await?;
        let program = async { if wanted.is_empty() { Ok(()) } else { host.program(id).await } };
        let (programmed, named, written) =
            tokio::join!(program, live.serve_names(host), write_files(host, &sandbox));
        programmed?;
        written?;
        match sandbox.origin {
            Origin::Run => named,
            // Another server may hold the port in a namespace that is not ours; everything else works without names.
            Origin::Path(_) | Origin::Process(_) | Origin::Handle => {
                named.inspect_err(|e| tracing::warn!("sandbox {}: {e}", sandbox.name)).or(Ok(()))
            }
        }
    };
    let Err(e) = begun.await else { return Ok(()) };
    take_back(host, id).await;
    // Had the sandbox been removed while a manager was asked, its endpoints would have been given back before they
    // were there.
    if !matches!(e, WorkerError::Refused(_)) {
        host.store.change(|contents| contents.releasing.extend(asked));
    }
    Err(e)
}

fn claim(host: &Host, id: SandboxId, netns: NetNs) -> Result<Arc<Live>, WorkerError> {
    Live::claim(host, id, netns).map_err(|other| {
        WorkerError::Exists(format!("this network namespace is being used by sandbox {}", other.short()))
    })
}

/// Writes down the new phase, and answers only when it is on disk: after a restart it decides what is kept.
pub(crate) async fn settle(host: &Arc<Host>, id: SandboxId, phase: Phase) -> Result<(), WorkerError> {
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

pub(crate) fn gone() -> WorkerError {
    WorkerError::Precondition("the sandbox has ended meanwhile".into())
}

/// Puts the intent into the list; returns what to wait for, and the endpoints that will be asked for.
fn reserve(host: &Host, beginning: Beginning) -> Result<(u64, Vec<EndpointId>), WorkerError> {
    let ifnames = pick_ifnames(&[], &beginning.wanted, beginning.netns.as_ref())?;
    let uplink = host.facts.borrow().gateway;
    let (reserved, change) = host.store.change(|contents| {
        if let Some(other) = contents.sandboxes.values().find(|other| other.name == beginning.name) {
            return Err(WorkerError::Exists(format!(
                "the name {} is taken on this host by sandbox {}: choose another, or remove it first",
                beginning.name,
                other.id.short()
            )));
        }
        let used = contents.sandboxes.values().filter_map(|other| other.gateway).collect();
        let address: Option<Ipv4Addr> = uplink.and_then(|net| gateway::choose(net, beginning.id, &used));
        let links =
            beginning.wanted.into_iter().zip(ifnames).map(|(wanted, ifname)| Link::new(wanted, ifname));
        let sandbox = Sandbox {
            id: beginning.id,
            name: beginning.name,
            origin: beginning.origin,
            phase: Phase::Creating,
            hostname: beginning.hostname,
            command: beginning.command,
            created_ms: now_ms(),
            gateway: address,
            links: links.collect(),
        };
        let asked = sandbox.links.iter().map(|link| link.endpoint).collect();
        contents.sandboxes.insert(sandbox.id, sandbox);
        Ok(asked)
    });
    reserved.map(|asked| (change, asked))
}

/// Makes the namespace, or gives the one that is there a name of ours.
async fn name_netns(host: &Host, id: SandboxId, given: Option<NetNs>) -> Result<NetNs, WorkerError> {
    let path = host.config.netns_of(id);
    let make = move || match given {
        None => NetNs::create(&path),
        Some(netns) => netns.bind_at(&path).map(|()| netns),
    };
    let made = tokio::task::spawn_blocking(make).await;
    Ok(made.map_err(|e| WorkerError::Internal(e.to_string()))??)
}

/// The namespace meant by a request, and what will end it.
fn open(host: &Host, request: &v1::AttachRequest) -> Result<(NetNs, Origin), WorkerError> {
    let path = PathBuf::from(&request.netns);
    let (netns, origin) = match (request.pid, request.netns.as_str(), request.netns_fd.as_str()) {
        (0, "", "") => {
            return Err(WorkerError::Invalid(
                "which namespace is meant? Give --netns PATH or --pid PID".into(),
            ));
        }
        (0, _, "") => (NetNs::open(&path)?, Origin::Path(path)),
        (0, _, handle) => {
            let netns = NetNs::open(Path::new(handle))?;
            let origin = if shows(&path, netns.id()) { Origin::Path(path) } else { Origin::Handle };
            (netns, origin)
        }
        (pid, "", _) => {
            let process = Process::open(pid)?;
            let netns = NetNs::of_pid(pid)?;
            // The namespace is that process's only if it is still there now.
            Process::reopen(process.id())?;
            (netns, Origin::Process(process.id().into()))
        }
        (_, _, _) => return Err(WorkerError::Invalid("give either --netns or --pid, not both".into())),
    };
    if netns.id() == host.own_netns {
        return Err(WorkerError::Precondition(
            "this is the host's own network namespace: make one for the sandbox first, as with `ip netns add NAME`".into(),
        ));
    }
    Ok((netns, origin))
}

/// The sandbox that has this namespace already.
fn sandbox_in(host: &Host, netns: &NetNs) -> Option<(SandboxId, DnsName)> {
    let id = host.live.lock().iter().find(|(_, live)| live.netns.id() == netns.id()).map(|(id, _)| *id)?;
    let sandbox = host.store.get(id).filter(|sandbox| sandbox.phase.is_desired())?;
    Some((id, sandbox.name))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
