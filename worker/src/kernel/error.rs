//! What can go wrong between us and the kernel. Knows: sentences for people. Must not know: who asked.

use nix::errno::Errno;
use std::io;
use swarm_model::Vni;
use swarm_netns::NsError;

#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("could not {act}: {source}")]
    Io { act: String, source: io::Error },
    /// The kernel said no. `text` holds its own words, if it had any.
    #[error("could not {act}: the kernel answered {} ({errno}{}{text})", .errno.desc(), if .text.is_empty() { "" } else { ": " })]
    Refused { act: String, errno: Errno, text: String },
    #[error(transparent)]
    Namespace(#[from] NsError),
    #[error(
        "VNI {vni} on UDP port {port} is held by a vxlan device that is not ours, in this host's network namespace: \
         look with `ip -d link show type vxlan`, remove it, or create the network with another --opt vni=N"
    )]
    ForeignVxlan { vni: Vni, port: u16 },
    #[error(
        "UDP port {port} is in use on this host, so VXLAN cannot receive there: look with `ss -ulpn 'sport = :{port}'` and stop \
         what holds it, or make the cluster with another --data-path-port"
    )]
    PortInUse { port: u16 },
    #[error(
        "there is an interface {ifname} in the sandbox at {sandbox} already, and it is not ours: choose another \
         name with --ifname, or remove that interface"
    )]
    NameTaken { ifname: String, sandbox: String },
    #[error(
        "no port is left on the bridge {bridge}: a network has at most 1,000 endpoints on one host; start the next \
         ones on another host"
    )]
    BridgeFull { bridge: &'static str },
    #[error("the network with VNI {vni} is not to be here any more")]
    Superseded { vni: Vni },
    #[error("could not load the nftables rules: {reason}")]
    Rules { reason: String },
    #[error("could not read everything the kernel holds, it kept changing: {act}")]
    Unsteady { act: String },
}

impl KernelError {
    pub fn io(act: impl Into<String>, source: io::Error) -> Self {
        Self::Io { act: act.into(), source }
    }

    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}
