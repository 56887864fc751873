//! How a sandbox comes to be: its place in the list, addresses from a manager, namespace, kernel, names; each step can be
//! taken back. Knows: the order. Must not know: what a command is.

use super::end::take_back;
use super::files::write_files;
use super::links::{Allocated, allocate, await_revision, free_ifnames, pick_ifnames};
use super::live::Live;
use super::record::{Link, Origin, Phase, Sandbox};
use super::request::{self, Wanted};
use super::watch::{shows, watch_process};
use crate::WorkerError;
use crate::host::Host;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_model::{DnsName, EndpointId, SandboxId};
use swarm_netns::{NetNs, Process};
use swarm_overlay::gateway;
use swarm_proto::v1;

/// Longest a new sandbox waits for an ended one of its name to be gone.
const FREED_WAIT: Duration = Duration::from_secs(2);

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
    begin(&host, beginning, Phase::Running(None)).await?;
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

/// Everything, up to where it is in `settled`: that phase goes to disk together with its networks, beside the work in
/// the kernel. A crash before leaves nothing on disk (or, with the change of another, one that was not finished): what is
/// not on the list is removed at the next start, and its endpoints are given back because nobody knows them. A crash
/// after leaves one that is Running and which the next start programs. On an error nothing is left.
pub(crate) async fn begin(host: &Arc<Host>, beginning: Beginning, settled: Phase) -> Result<(), WorkerError> {
    let (id, wanted) = (beginning.id, beginning.wanted.clone());
    freed(host, &beginning.name).await;
    let _turn = host.turn().await?;
    let given = beginning.netns.clone().map(|netns| claim(host, id, netns)).transpose()?;
    let asked = reserve(host, beginning).inspect_err(|_| drop(host.live.lock().remove(&id)))?;
    let begun = async {
        let asking = async {
            free_ifnames(host, id, &wanted, given.as_ref().map(|live| &live.netns)).await?;
            allocate(host, id, settled).await
        };
        let (live, allocated) = tokio::join!(take_in_hand(host, id, given.clone()), asking);
        let (live, allocated) = (live?, allocated?);
        complete(host, id, &live, &allocated).await
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

/// A namespace with a name of ours. In one that was given, names are answered meanwhile; making one takes long enough, and
/// names there are answered beside the programming.
async fn take_in_hand(
    host: &Arc<Host>,
    id: SandboxId,
    given: Option<Arc<Live>>,
) -> Result<Arc<Live>, WorkerError> {
    let Some(live) = given else { return claim(host, id, name_netns(host, id, None).await?) };
    let naming = name_netns(host, id, Some(live.netns.clone()));
    let (netns, served) = tokio::join!(naming, live.serve_names(host));
    // Another server may hold the port in a namespace that is not ours; everything else works without names.
    if let Err(e) = served {
        tracing::warn!("sandbox {}: {e}", id.short());
    }
    netns.map(|_| live)
}

/// What needs the addresses. Whoever is told of a Running one may count on it after a restart, so that phase is waited
/// for; every other is taken back then, whatever the disk says.
async fn complete(
    host: &Arc<Host>,
    id: SandboxId,
    live: &Live,
    allocated: &Allocated,
) -> Result<(), WorkerError> {
    let sandbox = host.store.get(id).ok_or_else(gone)?;
    live.names.set(sandbox.networks());
    await_revision(host, allocated.revision).await?;
    let program = async { if sandbox.links.is_empty() { Ok(()) } else { host.program(id).await } };
    let saved = async {
        match sandbox.phase {
            Phase::Running(_) => host.store.saved(allocated.change).await,
            Phase::Creating | Phase::Ready | Phase::Removing => Ok(()),
        }
    };
    let names = async {
        match sandbox.origin {
            Origin::Run => live.serve_names(host).await,
            Origin::Path(_) | Origin::Process(_) | Origin::Handle => Ok(()),
        }
    };
    let files = async {
        let _busy = live.busy.lock().await;
        match host.store.get(id) {
            Some(now) if now.phase.is_desired() => write_files(host, &now).await,
            Some(_) | None => Err(gone()),
        }
    };
    let (programmed, saved, named, written) = tokio::join!(program, saved, names, files);
    programmed.and(saved).and(named).and(written)?;
    let stays = host.store.get(id).is_some_and(|now| now.phase.is_desired());
    if stays { Ok(()) } else { Err(gone()) }
}

/// Waits until a sandbox of this name that has ended is gone. Taking it down takes a moment, in which its name would be
/// refused to whoever has seen its command end.
async fn freed(host: &Host, name: &DnsName) {
    let ending = || host.store.read(|c| c.sandboxes.values().any(|s| s.name == *name && has_ended(s)));
    let mut changes = host.store.watch();
    // Whether it is gone by then or not: who takes the name next is decided by `reserve`.
    let _ = tokio::time::timeout(FREED_WAIT, changes.wait_for(|_| !ending())).await;
}

fn has_ended(sandbox: &Sandbox) -> bool {
    match sandbox.phase {
        Phase::Removing => true,
        Phase::Running(_) => sandbox.process().is_some_and(|process| Process::reopen(process).is_err()),
        Phase::Creating | Phase::Ready => false,
    }
}

fn claim(host: &Host, id: SandboxId, netns: NetNs) -> Result<Arc<Live>, WorkerError> {
    Live::claim(host, id, netns).map_err(|other| {
        WorkerError::Exists(format!("this network namespace is being used by sandbox {}", other.short()))
    })
}

pub(crate) fn gone() -> WorkerError {
    WorkerError::Precondition("the sandbox has ended meanwhile".into())
}

/// Puts it into the list; returns the endpoints that will be asked for. Interfaces have the names of an empty namespace
/// for now.
fn reserve(host: &Host, beginning: Beginning) -> Result<Vec<EndpointId>, WorkerError> {
    let ifnames = pick_ifnames(&beginning.wanted, &[])?;
    let uplink = host.facts.facts.borrow().gateway;
    host.store.note(|contents| {
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
    })
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
