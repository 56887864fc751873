//! Names of kernel objects. Knows: how ids become names the kernel accepts (15 bytes for an interface) and
//! how our own are told from foreign ones. Must not know: whether an object of that name exists.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use swarm_model::{EndpointId, NetworkId, SandboxId};

/// The bridge inside an overlay's namespace.
pub const BRIDGE: &str = "br0";
/// The VXLAN device inside an overlay's namespace.
pub const VXLAN: &str = "vxlan0";
/// The bridge in the daemon's own namespace that carries what leaves for the outside.
pub const GATEWAY_BRIDGE: &str = "swarm_gwbridge";
/// The interface inside a sandbox that carries its default route.
pub const GATEWAY_IFNAME: &str = "gw0";
/// The nftables tables that are ours, in whichever namespace and family.
pub const TABLE: &str = "swarmd";
/// Begins the names of host ends on [`GATEWAY_BRIDGE`].
pub const GATEWAY_PORT_PREFIX: &str = "gw-";
/// Routing protocol number that marks our routes (`man 8 ip-route`: 0–255, values from 5 up are free to use).
pub const ROUTE_PROTOCOL: u8 = 83;
/// Metric of our routes in sandboxes. Larger than what people and programs use, so that a route the
/// namespace's owner set to the same destination stays, and is the one that is taken.
pub const ROUTE_METRIC: u32 = 4242;

const SHORT: usize = 12;

/// The namespace of one overlay network: `ov-` and the first 12 characters of the network's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverlayNs([u8; SHORT]);

impl OverlayNs {
    pub fn of(network: NetworkId) -> Self {
        let mut short = [b'0'; SHORT];
        short.iter_mut().zip(network.short().bytes()).for_each(|(to, from)| *to = from);
        Self(short)
    }

    /// Reads a file name in `<run-dir>/netns`; `None` when it is not one of ours.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let short: [u8; SHORT] = name.strip_prefix("ov-")?.as_bytes().try_into().ok()?;
        let ours = |c: &u8| c.is_ascii_digit() || c.is_ascii_lowercase();
        short.iter().all(ours).then_some(Self(short))
    }

    pub fn as_str(&self) -> &str {
        // Both constructors take ASCII only.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for OverlayNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ov-{}", self.as_str())
    }
}
impl fmt::Debug for OverlayNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// File name of a sandbox's namespace: `sb-` and the first 12 characters of its id.
pub fn sandbox_file_name(sandbox: SandboxId) -> String {
    format!("sb-{}", sandbox.short())
}

/// The host end of a sandbox's interface. Made from an id, so it is the same after every restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortName {
    text: [u8; 15],
}

impl PortName {
    /// `v` and the first 14 characters of the endpoint's id (72 bits).
    pub fn of_endpoint(endpoint: EndpointId) -> Self {
        Self::join("v", endpoint.as_str())
    }

    /// `gw-` and the first 12 characters of the sandbox's id.
    pub fn of_gateway(sandbox: SandboxId) -> Self {
        Self::join(GATEWAY_PORT_PREFIX, sandbox.as_str())
    }

    /// Takes a name the kernel told; `None` when it is too long to be an interface.
    pub fn from_kernel(name: &str) -> Option<Self> {
        (!name.is_empty() && name.len() <= 15).then(|| Self::join(name, ""))
    }

    fn join(prefix: &str, rest: &str) -> Self {
        let mut text = [0u8; 15];
        text.iter_mut().zip(prefix.bytes().chain(rest.bytes())).for_each(|(to, from)| *to = from);
        Self { text }
    }

    pub fn as_str(&self) -> &str {
        let end = self.text.iter().position(|c| *c == 0).unwrap_or(self.text.len());
        self.text.get(..end).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// The alias both ends carry: how an interface is known to be ours, whatever it is called now.
    pub fn mark(&self) -> String {
        format!("swarmd {self}")
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl fmt::Debug for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reference to a sandbox's network namespace: the path of its nsfs file.
pub type NetnsPath = Arc<str>;

/// A place where a bridge of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The daemon's own namespace, with [`GATEWAY_BRIDGE`].
    Gateway,
    /// The namespace of one network, with [`BRIDGE`].
    Overlay(OverlayNs),
}

impl Scope {
    pub fn bridge(&self) -> &'static str {
        match self {
            Self::Gateway => GATEWAY_BRIDGE,
            Self::Overlay(_) => BRIDGE,
        }
    }

    /// What stands between `ip` (or `bridge`) and the object in a command: the namespace, where it is not our
    /// own.
    pub fn option(&self) -> String {
        match self {
            Self::Gateway => String::new(),
            Self::Overlay(ns) => format!(" -n {ns}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str(GATEWAY_BRIDGE),
            Self::Overlay(ns) => fmt::Display::fmt(ns, f),
        }
    }
}
