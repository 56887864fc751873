//! What a worker is told when it starts, and where its files are. Knows: folders. Must not know: their contents.

use std::net::IpAddr;
use std::path::PathBuf;
use swarm_model::{NodeId, SandboxId};

/// Everything is below `state_dir` and `run_dir`, so that several daemons share a machine without meeting.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub node: NodeId,
    pub hostname: String,
    pub version: String,
    /// The daemon's `--state-dir`; the worker keeps its files in `worker/` below it.
    pub state_dir: PathBuf,
    /// The daemon's `--run-dir`; namespaces are named in `netns/`, sandboxes' files are in `sandboxes/`.
    pub run_dir: PathBuf,
    /// Where other nodes reach this daemon, at the start.
    pub addr: IpAddr,
    /// The outer source of this host's VXLAN packets, at the start.
    pub data_path_addr: IpAddr,
    /// UDP port of VXLAN until an assignment says it.
    pub data_path_port: u16,
    /// Managers to begin with, `HOST:PORT`, beside those of the assignment.
    pub seeds: Vec<String>,
    /// Where the host's resolvers are listed: `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// The feature level this node announces.
    pub features: u32,
}

/// Where this node is found; it may change while everything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here {
    pub addr: IpAddr,
    pub data_path_addr: IpAddr,
}

impl WorkerConfig {
    pub(crate) fn assignment_file(&self) -> PathBuf {
        self.state_dir.join("worker/assignment")
    }

    pub(crate) fn boot_file(&self) -> PathBuf {
        self.state_dir.join("worker/boot")
    }

    pub(crate) fn sandboxes_file(&self) -> PathBuf {
        self.state_dir.join("worker/sandboxes")
    }

    pub(crate) fn netns_dir(&self) -> PathBuf {
        self.run_dir.join("netns")
    }

    /// The name of a sandbox's namespace: made by us, or a second name of one that was attached.
    pub(crate) fn netns_of(&self, sandbox: SandboxId) -> PathBuf {
        self.netns_dir().join(format!("sb-{}", sandbox.short()))
    }

    /// The folder of a sandbox's `resolv.conf`, `hosts` and `hostname`.
    pub(crate) fn files_of(&self, sandbox: SandboxId) -> PathBuf {
        self.run_dir.join("sandboxes").join(sandbox.as_str())
    }
}
