//! Sandboxes as others see them. Knows: what is shown of them. Must not know: who asks.

use super::files::{HOSTS, RESOLV_CONF};
use super::record::{Link, Origin, Phase, Sandbox};
use crate::WorkerConfig;
use crate::host::Host;
use swarm_model::{Assigned, SandboxId};
use swarm_overlay::{
    HostFacts,
    mtu::{Wish, overlay_mtu},
};
use swarm_proto::v1;

/// What a view is made of beside the sandbox itself.
struct Sight<'a> {
    config: &'a WorkerConfig,
    assigned: &'a Assigned,
    facts: &'a HostFacts,
}

fn show(sandbox: &Sandbox, sight: &Sight<'_>) -> v1::Sandbox {
    let files = sight.config.files_of(sandbox.id);
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let kind = match sandbox.origin {
        Origin::Run => v1::SandboxKind::Run,
        Origin::Path(_) | Origin::Process(_) | Origin::Handle => v1::SandboxKind::Attached,
    };
    let state = match sandbox.phase {
        Phase::Creating | Phase::Ready => v1::SandboxState::Created,
        Phase::Running(_) => v1::SandboxState::Running,
        Phase::Removing => v1::SandboxState::Exited,
    };
    v1::Sandbox {
        id: sandbox.id.to_string(),
        name: sandbox.name.to_string(),
        kind: kind.into(),
        state: state.into(),
        pid: sandbox.process().map_or(0, |process| process.pid),
        netns: text(sight.config.netns_of(sandbox.id)),
        command: sandbox.command.clone(),
        created_ms: sandbox.created_ms,
        endpoints: sandbox.links.iter().map(|link| show_link(link, sight)).collect(),
        hostname: sandbox.hostname.clone(),
        resolv_conf: text(files.join(RESOLV_CONF)),
        hosts: text(files.join(HOSTS)),
        daemon_pid: std::process::id().cast_signed(),
    }
}

fn show_link(link: &Link, sight: &Sight<'_>) -> v1::SandboxEndpoint {
    let endpoint = sight.assigned.endpoints.get(&link.endpoint);
    let network = link.network.and_then(|id| sight.assigned.networks.get(&id));
    let (local, underlay) = (sight.facts.data_path_addr, sight.facts.underlay_mtu);
    v1::SandboxEndpoint {
        id: link.endpoint.to_string(),
        network: link.network.map(|id| id.to_string()).unwrap_or_default(),
        network_name: network.map_or_else(|| link.reference.clone(), |n| n.name().to_string()),
        addresses: endpoint.iter().flat_map(|e| &e.addresses).map(ToString::to_string).collect(),
        mac: endpoint.map(|e| e.mac.to_string()).unwrap_or_default(),
        ifname: link.ifname.clone(),
        aliases: link.aliases.iter().map(ToString::to_string).collect(),
        mtu: network.map_or(0, |n| overlay_mtu(underlay, local, Wish::of(&n.spec))),
    }
}

/// One of this host's sandboxes as it is now; `None` when it is gone.
pub(crate) fn view(host: &Host, id: SandboxId) -> Option<v1::Sandbox> {
    let sandbox = host.store.get(id)?;
    view_all(host, std::slice::from_ref(&sandbox)).pop()
}

/// Several of them, in that order.
pub(crate) fn view_all(host: &Host, sandboxes: &[Sandbox]) -> Vec<v1::Sandbox> {
    let facts = host.facts.facts.borrow().clone();
    host.assignments.read(|assigned| {
        let sight = Sight { config: &host.config, assigned, facts: &facts };
        sandboxes.iter().map(|sandbox| show(sandbox, &sight)).collect()
    })
}
