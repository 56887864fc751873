//! One place with everything open that is needed to work on it: its namespace, its sockets, its sandboxes.
//! Knows: how to open and when to let go. Must not know: what should be there.
//!
//! An open socket keeps its namespace alive, so whatever is not needed any more is closed here.

use super::events::{EventSocket, Source};
use super::gate::Gate;
use super::socket::NetlinkSocket;
use super::{KernelError, messages, read, sysctl};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swarm_netns::{NetNs, NsError};
use swarm_overlay::{BRIDGE, GATEWAY_BRIDGE, NetnsPath, PortName, Scope, VXLAN};

pub struct Place {
    pub scope: Scope,
    /// What stands beside the data path, shared by all places.
    pub gate: Arc<Gate>,
    netns_dir: PathBuf,
    opened: Option<Opened>,
    sandboxes: BTreeMap<NetnsPath, Sandbox>,
    /// Where the inner end of a port is, and its index there, as far as it is known.
    pub inner: BTreeMap<PortName, (NetnsPath, u32)>,
    /// Opened with a namespace, before anything in it was read; whoever listens takes them from here.
    listeners: Vec<EventSocket>,
}

/// The place's own namespace.
pub struct Opened {
    pub ns: NetNs,
    pub route: NetlinkSocket,
    pub filter: NetlinkSocket,
    /// Interface indices, where they are known.
    pub bridge: Option<u32>,
    pub vxlan: Option<u32>,
}

/// A sandbox's namespace.
pub struct Sandbox {
    pub ns: NetNs,
    pub route: NetlinkSocket,
}

impl Place {
    pub fn new(scope: Scope, netns_dir: &Path, gate: Arc<Gate>) -> Self {
        let netns_dir = netns_dir.to_owned();
        Self {
            scope,
            gate,
            netns_dir,
            opened: None,
            sandboxes: BTreeMap::new(),
            inner: BTreeMap::new(),
            listeners: Vec::new(),
        }
    }

    /// Where the place's namespace has its name; `None` for the gateway.
    fn path(&self) -> Option<PathBuf> {
        match self.scope {
            Scope::Gateway => None,
            Scope::Overlay(ns) => Some(self.netns_dir.join(ns.to_string())),
        }
    }

    /// Opens the namespace, or sees that it is still the one that is open. `None` when there is none.
    pub fn open(&mut self) -> Result<Option<&mut Opened>, KernelError> {
        let found = match self.path() {
            None => NetNs::current()?,
            Some(path) => match NetNs::open(&path) {
                Ok(ns) => ns,
                Err(NsError::NoSuchNetNs { .. } | NsError::NotANetNs { .. }) => {
                    self.close();
                    return Ok(None);
                }
                Err(e) => return Err(e.into()),
            },
        };
        if self.opened.as_ref().is_none_or(|opened| opened.ns.id() != found.id()) {
            self.enter(found)?;
        }
        Ok(self.opened.as_mut())
    }

    /// The open namespace; opened on first use.
    pub fn here(&mut self) -> Result<&mut Opened, KernelError> {
        if self.opened.is_none() {
            self.open()?;
        }
        let (scope, path) = (self.scope, self.path().unwrap_or_default());
        self.opened.as_mut().ok_or_else(|| {
            tracing::debug!(%scope, "the namespace is gone");
            KernelError::Namespace(NsError::NoSuchNetNs { path })
        })
    }

    /// Makes the namespace.
    pub fn create(&mut self) -> Result<(), KernelError> {
        let Some(path) = self.path() else { return Ok(()) };
        std::fs::create_dir_all(&self.netns_dir)
            .map_err(|e| KernelError::io(format!("make the folder {}", self.netns_dir.display()), e))?;
        let ns = NetNs::create(&path)?;
        ns.run(sysctl::bridge_only)?;
        self.enter(ns)
    }

    fn enter(&mut self, ns: NetNs) -> Result<(), KernelError> {
        self.close();
        let scope = self.scope;
        let (listeners, route, filter) =
            ns.run(|| (EventSocket::here(scope), NetlinkSocket::route(), NetlinkSocket::filter()))?;
        self.listeners.extend(listeners?);
        self.opened = Some(Opened { ns, route: route?, filter: filter?, bridge: None, vxlan: None });
        Ok(())
    }

    /// Takes the namespace's name away; it ends with its last user.
    pub fn delete(&mut self) -> Result<(), KernelError> {
        self.close();
        Ok(self.path().map_or(Ok(()), |path| swarm_netns::remove(&path))?)
    }

    fn close(&mut self) {
        self.opened = None;
        self.sandboxes.clear();
        self.inner.clear();
    }

    /// Opens a sandbox, or takes the one that is open.
    pub fn sandbox(&mut self, path: &NetnsPath) -> Result<&mut Sandbox, KernelError> {
        if !self.sandboxes.contains_key(path) {
            let ns = NetNs::open(Path::new(&**path))?;
            let (listener, route) = ns.run(|| (EventSocket::inside(path.clone()), NetlinkSocket::route()))?;
            self.listeners.push(listener?);
            self.sandboxes.insert(path.clone(), Sandbox { ns, route: route? });
        }
        let gone = || NsError::NoSuchNetNs { path: PathBuf::from(&**path) };
        self.sandboxes.get_mut(path).ok_or_else(|| gone().into())
    }

    /// Sees that what is open under this path is what the path names now.
    pub fn refresh_sandbox(&mut self, path: &NetnsPath) -> Result<&mut Sandbox, KernelError> {
        let named = NetNs::open(Path::new(&**path)).inspect_err(|_| drop(self.sandboxes.remove(path)))?;
        if self.sandboxes.get(path).is_some_and(|open| open.ns.id() != named.id()) {
            self.sandboxes.remove(path);
        }
        self.sandbox(path)
    }

    /// Sockets that hear what happens from the moment their namespace was opened. Each is given out once.
    pub fn take_listeners(&mut self) -> Vec<EventSocket> {
        std::mem::take(&mut self.listeners)
    }

    /// Whether the namespace something is heard from is in use here.
    pub fn is_open(&self, source: &Source) -> bool {
        match source {
            Source::Here => self.opened.is_some(),
            Source::Sandbox(path) => self.sandboxes.contains_key(path),
        }
    }

    pub fn known_bridge(&self) -> Option<u32> {
        self.opened.as_ref()?.bridge
    }

    pub fn known_vxlan(&self) -> Option<u32> {
        self.opened.as_ref()?.vxlan
    }

    /// The port whose inner end has this index in that sandbox.
    pub fn inner_port(&self, path: &NetnsPath, index: u32) -> Option<PortName> {
        self.inner.iter().find(|(_, (p, i))| *i == index && p == path).map(|(port, _)| *port)
    }

    /// Closes every sandbox but these.
    pub fn keep_sandboxes(&mut self, keep: impl Fn(&NetnsPath) -> bool) {
        self.sandboxes.retain(|path, _| keep(path));
    }
}

impl Opened {
    /// Index of the bridge, asked for when it is not known.
    pub fn bridge_index(&mut self, scope: Scope) -> Result<u32, KernelError> {
        let name = if scope == Scope::Gateway { GATEWAY_BRIDGE } else { BRIDGE };
        known(&mut self.bridge, &mut self.route, name)
    }

    pub fn vxlan_index(&mut self) -> Result<u32, KernelError> {
        known(&mut self.vxlan, &mut self.route, VXLAN)
    }
}

fn known(index: &mut Option<u32>, route: &mut NetlinkSocket, name: &str) -> Result<u32, KernelError> {
    if let Some(index) = *index {
        return Ok(index);
    }
    let found = index_of(route, name)?.ok_or_else(|| KernelError::Refused {
        act: format!("find the interface {name}"),
        errno: nix::errno::Errno::ENODEV,
        text: String::new(),
    })?;
    *index = Some(found);
    Ok(found)
}

/// Index of an interface by its name; `None` when there is none.
pub fn index_of(route: &mut NetlinkSocket, name: &str) -> Result<Option<u32>, KernelError> {
    Ok(link_of(route, name)?.map(|link| link.index))
}

/// An interface by its name; `None` when there is none.
pub fn link_of(route: &mut NetlinkSocket, name: &str) -> Result<Option<read::Link>, KernelError> {
    let mut question = super::wire::Messages::default();
    messages::get_link(&mut question, name);
    let answer = route.get(question, "ask for an interface")?;
    Ok(answer.and_then(|a| read::link(&a.body)))
}
