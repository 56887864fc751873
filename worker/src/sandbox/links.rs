//! The networks of a sandbox: choosing interfaces, asking for addresses, connecting one more. Knows: links.
//! Must not know: what else a sandbox is.

use super::begin::gone;
use super::files::refresh_files;
use super::record::{Link, Phase, Sandbox};
use super::request::{Wanted, refuse_local};
use super::select::select;
use crate::WorkerError;
use crate::host::Host;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{EndpointId, Revision, SandboxId};
use swarm_netns::NetNs;
use swarm_proto::v1;

/// A manager that has answered sends the assignment at once; a lost one is replaced by the next session meanwhile.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// Most interfaces that are tried until a free name is found.
const MOST_NUMBERS: usize = 1_000;

impl Link {
    pub(crate) fn new(wanted: Wanted, ifname: String) -> Self {
        Self {
            endpoint: swarm_identity::random::new_id(),
            network: None,
            reference: wanted.network,
            ifname,
            aliases: wanted.aliases,
            ip: wanted.ip,
            mac: wanted.mac,
        }
    }
}

/// What a manager has given, and the change that put it into the list.
pub(crate) struct Allocated {
    /// From which on the assignment has it; 0: nothing was asked for.
    pub(crate) revision: Revision,
    pub(crate) change: u64,
}

/// A name for the interface of each: as asked for, or the first free `ethN`. `present` are those that are there already.
pub(crate) fn pick_ifnames(wanted: &[Wanted], present: &[String]) -> Result<Vec<String>, WorkerError> {
    let mut taken: Vec<String> = Vec::new();
    let asked: Vec<String> = wanted.iter().filter_map(|one| one.ifname.clone()).collect();
    let is_taken = |taken: &[String], name: &str| present.iter().chain(taken).any(|other| other == name);
    let mut picked = Vec::new();
    for one in wanted {
        let name = match &one.ifname {
            Some(name) if is_taken(&taken, name) => {
                return Err(WorkerError::Exists(format!(
                    "the interface name {name} is taken in the sandbox: choose another with --ifname"
                )));
            }
            Some(name) => name.clone(),
            None => {
                let mut names = (0..MOST_NUMBERS).map(|number| format!("eth{number}"));
                let free = names.find(|name| !is_taken(&taken, name) && !asked.contains(name));
                free.ok_or_else(|| WorkerError::Exists("the sandbox has no free interface name".into()))?
            }
        };
        taken.push(name.clone());
        picked.push(name);
    }
    Ok(picked)
}

/// Names the new links of a sandbox anew, after a look at what the namespace has; one made just now (`None`) is empty.
/// `wanted` is what the links came from.
pub(crate) async fn free_ifnames(
    host: &Host,
    id: SandboxId,
    wanted: &[Wanted],
    netns: Option<&NetNs>,
) -> Result<(), WorkerError> {
    let Some(netns) = netns else { return Ok(()) };
    let mut present = netns.run_async(interface_names).await?;
    let sandbox = host.store.get(id).ok_or_else(gone)?;
    let (old, new): (Vec<_>, Vec<_>) = sandbox.links.iter().partition(|link| link.network.is_some());
    present.extend(old.iter().map(|link| link.ifname.clone()));
    let names = pick_ifnames(wanted, &present)?;
    if new.iter().map(|link| &link.ifname).eq(&names) {
        return Ok(());
    }
    host.store.note(|contents| {
        let links = contents.sandboxes.get_mut(&id).into_iter().flat_map(|sandbox| &mut sandbox.links);
        links.filter(|link| link.network.is_none()).zip(names).for_each(|(link, name)| link.ifname = name);
    });
    Ok(())
}

/// Of the calling thread's namespace.
fn interface_names() -> Vec<String> {
    let Ok(interfaces) = nix::net::if_::if_nameindex() else { return Vec::new() };
    interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect()
}

/// Asks a manager for those of a sandbox's endpoints that have no network yet, and writes down what they are on; a
/// sandbox that is being created is in phase `settled` by the same change.
pub(crate) async fn allocate(host: &Host, id: SandboxId, settled: Phase) -> Result<Allocated, WorkerError> {
    let sandbox = host.store.get(id).ok_or_else(gone)?;
    let asked: Vec<v1::NewEndpoint> =
        sandbox.links.iter().filter(|l| l.network.is_none()).map(|l| ask(&sandbox, l)).collect();
    let answer = match asked.is_empty() {
        true => Ok((Vec::new(), 0)),
        false => host.calls.create_endpoints(asked).await,
    };
    let (endpoints, revision) = answer.inspect_err(|e| {
        // Refused: none of them exists, so there is nothing to be given back.
        if matches!(e, WorkerError::Refused(_)) {
            host.store.update(id, |sandbox| sandbox.links.retain(|link| link.network.is_some()));
        }
    })?;
    let (_, change) = host.store.update(id, |sandbox| {
        for endpoint in &endpoints {
            let link = sandbox.links.iter_mut().find(|link| link.endpoint == endpoint.id);
            if let Some(link) = link {
                link.network = Some(endpoint.network);
            }
        }
        if sandbox.phase == Phase::Creating {
            sandbox.phase = settled;
        }
    });
    Ok(Allocated { revision, change })
}

fn ask(sandbox: &Sandbox, link: &Link) -> v1::NewEndpoint {
    v1::NewEndpoint {
        id: link.endpoint.to_string(),
        network: link.reference.clone(),
        sandbox: sandbox.id.to_string(),
        name: sandbox.name.to_string(),
        aliases: link.aliases.iter().map(ToString::to_string).collect(),
        ip: link.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
    }
}

/// Waits for the assignment a manager's answer spoke of.
pub(crate) async fn await_revision(host: &Host, revision: Revision) -> Result<(), WorkerError> {
    if revision == 0 || host.assignments.reached(revision, TOLD_WITHIN).await {
        return Ok(());
    }
    Err(WorkerError::Unavailable(untold(revision, &host.managers.trouble())))
}

/// `trouble`: why there is no session; empty while there is one.
fn untold(revision: Revision, trouble: &str) -> String {
    let why = match trouble {
        "" => "there is a session, so the manager that holds it lags behind the one that decided",
        why => why,
    };
    let within = TOLD_WITHIN.as_secs();
    format!("the addresses are allocated, but no manager sent revision {revision} within {within} s: {why}")
}

#[cfg(test)]
#[test]
fn why_nothing_was_told_is_never_left_open() {
    for trouble in ["", "nobody answers"] {
        let said = untold(7, trouble);
        assert!(said.contains("revision 7") && !said.trim_end().ends_with(':'), "{said}");
    }
}

/// Connects a sandbox to one more network.
pub(crate) async fn connect(host: Arc<Host>, request: v1::ConnectRequest) -> Result<SandboxId, WorkerError> {
    let wanted = Wanted::try_from(request.attachment.unwrap_or_default())?;
    refuse_local(&wanted.network)?;
    let id = host.store.read(|c| select(c.sandboxes.values(), &request.target).map(|s| s.id))?;
    connect_wanted(host, id, wanted).await.map(|()| id)
}

pub(crate) async fn connect_wanted(
    host: Arc<Host>,
    id: SandboxId,
    wanted: Wanted,
) -> Result<(), WorkerError> {
    let live = host.live(id).ok_or_else(gone)?;
    let _busy = live.busy.lock().await;
    let sandbox = host.store.get(id).ok_or_else(gone)?;
    match sandbox.phase {
        Phase::Ready | Phase::Running(_) => {}
        Phase::Creating | Phase::Removing => return Err(gone()),
    }
    if let Ok(link) =
        host.assignments.read(|a| super::select::select_link(&sandbox, a, &wanted.network).cloned())
    {
        return Err(already(&sandbox, &link.reference));
    }
    let wanted = [wanted];
    let held: Vec<String> = sandbox.links.iter().map(|link| link.ifname.clone()).collect();
    let ifname = pick_ifnames(&wanted, &held)?.pop().unwrap_or_default();
    let [only] = wanted.clone();
    let link = Link::new(only, ifname);
    let endpoint = link.endpoint;
    host.store.note(|contents| contents.sandboxes.get_mut(&id).map(|sandbox| sandbox.links.push(link)));
    let connected = async {
        free_ifnames(&host, id, &wanted, Some(&live.netns)).await?;
        let allocated = allocate(&host, id, sandbox.phase).await?;
        let now = host.store.get(id).ok_or_else(gone)?;
        let network = now.link(endpoint).and_then(|link| link.network);
        if let Some(other) = now.links.iter().find(|l| l.endpoint != endpoint && l.network == network) {
            return Err(already(&now, &other.reference));
        }
        await_revision(&host, allocated.revision).await?;
        let saved = host.store.saved(allocated.change);
        let (programmed, saved, ()) = tokio::join!(host.program(id), saved, refresh_files(&host, id));
        programmed.and(saved)?;
        live.names.set(now.networks());
        Ok(())
    };
    if let Err(e) = connected.await {
        unlink(&host, id, endpoint);
        live.names.set(host.store.get(id).map(|s| s.networks()).unwrap_or_default());
        tokio::join!(host.unprogram(id), refresh_files(&host, id));
        return Err(e);
    }
    Ok(())
}

fn already(sandbox: &Sandbox, network: &str) -> WorkerError {
    WorkerError::Exists(format!("sandbox {} is connected to network {network} already", sandbox.name))
}

/// Takes one endpoint out of a sandbox and lines it up to be given back, if it is (still) there.
pub(crate) fn unlink(host: &Host, id: SandboxId, endpoint: EndpointId) {
    host.store.change(|contents| {
        let Some(sandbox) = contents.sandboxes.get_mut(&id) else { return };
        let before = sandbox.links.len();
        sandbox.links.retain(|link| link.endpoint != endpoint);
        if sandbox.links.len() < before {
            contents.releasing.insert(endpoint);
        }
    });
}
