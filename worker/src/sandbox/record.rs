//! A sandbox as it is kept in memory and on disk. Knows: its lifecycle. Must not know: what is done at each step.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use swarm_model::{DnsName, EndpointId, MacAddr, NetworkId, SandboxId};
use swarm_netns::ProcessId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) id: SandboxId,
    /// Unique on this host, without case.
    pub(crate) name: DnsName,
    pub(crate) origin: Origin,
    pub(crate) phase: Phase,
    pub(crate) hostname: String,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    pub(crate) created_ms: u64,
    /// Its address on the gateway bridge; kept over restarts.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// In the order they were connected.
    pub(crate) links: Vec<Link>,
}

/// Where the namespace came from: decides what ends the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// Made here for a command; ends with the command.
    Run,
    /// Attached by a path the daemon sees too; ends when the path shows another namespace or none.
    Path(PathBuf),
    /// Attached by a process; ends with it.
    Process(Runner),
    /// Attached by an open file only; ends when somebody says so.
    Handle,
}

/// A process as it is written to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Runner {
    pub(crate) pid: i32,
    pub(crate) start_ticks: u64,
}

/// Creating → Ready → Running → Removing; an attached sandbox skips Ready. After a restart of the daemon, what is
/// Running is adopted, and programmed if it was cut short before; everything else is taken back: nobody was told that
/// it worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Nothing was promised. On disk only if something else was written meanwhile.
    Creating,
    /// It has its addresses and is being programmed, or is; its command has not been started.
    Ready,
    /// Its command runs; an attached one (`None`) has its addresses and is being programmed, or is.
    Running(Option<Runner>),
    /// On its way out: not desired any more, its endpoints are being released.
    Removing,
}

/// One endpoint of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) endpoint: EndpointId,
    /// `None` until a manager has allocated it: after a restart such a link is taken back, if it is there at all.
    pub(crate) network: Option<NetworkId>,
    /// The network as it was asked for.
    pub(crate) reference: String,
    pub(crate) ifname: String,
    #[serde(default)]
    pub(crate) aliases: Vec<DnsName>,
    /// Asked for; `None`: any.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) mac: Option<MacAddr>,
}

impl Phase {
    /// Its interfaces are to be in the kernel.
    pub(crate) fn is_desired(self) -> bool {
        match self {
            Self::Creating | Self::Ready | Self::Running(_) => true,
            Self::Removing => false,
        }
    }

    /// Shown by `ps` without `-a`.
    pub(crate) fn is_settled(self) -> bool {
        match self {
            Self::Ready | Self::Running(_) => true,
            Self::Creating | Self::Removing => false,
        }
    }
}

impl Sandbox {
    /// The process whose end is the sandbox's end.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        let runner = match (&self.origin, &self.phase) {
            (Origin::Process(runner), _) | (Origin::Run, Phase::Running(Some(runner))) => *runner,
            (Origin::Run | Origin::Path(_) | Origin::Handle, _) => return None,
        };
        Some(ProcessId { pid: runner.pid, start_ticks: runner.start_ticks })
    }

    pub(crate) fn networks(&self) -> Vec<NetworkId> {
        self.links.iter().filter_map(|link| link.network).collect()
    }

    pub(crate) fn link(&self, endpoint: EndpointId) -> Option<&Link> {
        self.links.iter().find(|link| link.endpoint == endpoint)
    }
}

impl From<ProcessId> for Runner {
    fn from(id: ProcessId) -> Self {
        Self { pid: id.pid, start_ticks: id.start_ticks }
    }
}
