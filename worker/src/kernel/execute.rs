//! Takes steps. Knows: which messages a step is, and which refusals mean that it is done already.
//! Must not know: why a step is to be taken.

use super::place::{Place, index_of, link_of};
use super::socket::{Failure, NetlinkSocket};
use super::uapi::*;
use super::wire::Messages;
use super::{KernelError, entries, messages, nft, ports, sysctl};
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use swarm_overlay::{Act, Bridge, Op, Scope, VXLAN, Vxlan, rules};

/// A step that failed.
#[derive(Debug)]
pub struct Failed {
    pub op: Op,
    pub error: KernelError,
}

impl Place {
    /// Takes the steps in order, those of the same kind together, and goes on after a failure.
    pub fn execute(&mut self, ops: &[Op]) -> Vec<Failed> {
        let mut failed = Vec::new();
        for group in ops.chunk_by(|a, b| Kind::of(&a.act).joins(Kind::of(&b.act))) {
            let Some(first) = group.first() else { continue };
            let failures = match Kind::of(&first.act) {
                Kind::Entry => entries::change_entries(self, group),
                Kind::Allow => entries::change_elements(self, group, NFT_NEW_SETELEM),
                Kind::Forbid => entries::change_elements(self, group, NFT_DEL_SETELEM),
                Kind::Inside(_) => ports::change_inside(self, group),
                Kind::Alone => self.one(&first.act).map_err(|e| vec![(0, e)]).err().unwrap_or_default(),
            };
            for (index, error) in failures {
                failed.extend(group.get(index).map(|op| Failed { op: op.clone(), error }));
            }
        }
        failed
    }

    fn one(&mut self, act: &Act) -> Result<(), KernelError> {
        match act {
            Act::AddNamespace => self.create(),
            Act::DeleteNamespace => self.delete(),
            Act::AddBridge(bridge) => self.add_bridge(bridge),
            Act::SetBridge(bridge) => self.set_bridge(bridge),
            Act::DeleteBridge => self.delete_bridge(),
            Act::AddVxlan(vxlan) => self.add_vxlan(vxlan),
            Act::SetVxlan(vxlan) => self.set_vxlan(vxlan),
            Act::DeleteVxlan => self.delete_vxlan(),
            Act::LoadRules { way_out, allowed } => self.load(&rules::text(self.scope, *way_out, allowed)),
            Act::DeleteRules => self.load(&rules::removal(self.scope)),
            // The newest guard, whichever step asks: another place may have loaded a newer one meanwhile.
            Act::LoadGuard(_) | Act::DeleteGuard => self.gate.renew(),
            Act::AddPort(name, link) => ports::add(self, *name, link),
            Act::SetPort { port, want, have } => ports::set(self, *port, want, have.mac),
            Act::DeletePort(name) => ports::delete(self, *name),
            // These come in groups and never here.
            Act::AddAddress(..)
            | Act::DeleteAddress(..)
            | Act::PutRoute(..)
            | Act::DeleteRoute(..)
            | Act::Allow(_)
            | Act::Forbid(_)
            | Act::PutFdb(..)
            | Act::DeleteFdb(..)
            | Act::PutNeighbour(..)
            | Act::DeleteNeighbour(_) => Ok(()),
        }
    }

    fn add_bridge(&mut self, bridge: &Bridge) -> Result<(), KernelError> {
        let (scope, name) = (self.scope, self.scope.bridge());
        let here = self.here()?;
        let mut batch = Messages::default();
        messages::add_bridge(&mut batch, name, bridge);
        tolerant(&mut here.route, batch, &[Errno::EAFNOSUPPORT], &format!("make the bridge {name}"))?;
        here.bridge = None;
        here.bridge_index(scope)?;
        self.gateway_address(bridge)
    }

    fn set_bridge(&mut self, bridge: &Bridge) -> Result<(), KernelError> {
        let name = self.scope.bridge();
        let mut batch = Messages::default();
        let here = self.here()?;
        let held = link_of(&mut here.route, name)?.and_then(|link| link.mac);
        let mac = Some(bridge.mac()).filter(|mac| held != Some(*mac));
        messages::set_bridge(&mut batch, name, bridge.mtu, mac);
        here.route.run_all(batch, &format!("set the bridge {name}"))?;
        self.gateway_address(bridge)
    }

    /// The gateway's address, alone on its bridge, and the forwarding that makes it one.
    fn gateway_address(&mut self, bridge: &Bridge) -> Result<(), KernelError> {
        let Some(address) = bridge.address else { return Ok(()) };
        let scope = self.scope;
        let here = self.here()?;
        let index = here.bridge_index(scope)?;
        let held = super::observe::addresses(&mut here.route)?.remove(&index).unwrap_or_default();
        let mut batch = Messages::default();
        held.iter()
            .filter(|a| **a != address.into())
            .for_each(|a| messages::gateway_address(&mut batch, DEL_ADDR, index, *a));
        messages::gateway_address(&mut batch, NEW_ADDR, index, address.into());
        here.route.run_all(batch, &format!("set address {address} on {}", scope.bridge()))?;
        if !sysctl::forwarding() {
            sysctl::enable_forwarding()?;
        }
        Ok(())
    }

    fn delete_bridge(&mut self) -> Result<(), KernelError> {
        let name = self.scope.bridge();
        let mut batch = Messages::default();
        messages::delete_link(&mut batch, name);
        let here = self.here()?;
        here.bridge = None;
        tolerant(&mut here.route, batch, &[Errno::ENODEV], &format!("delete the bridge {name}"))
    }

    fn add_vxlan(&mut self, vxlan: &Vxlan) -> Result<(), KernelError> {
        sysctl::raise_neighbour_limits();
        self.gate.cover(vxlan.vni)?;
        let here = self.here()?;
        if index_of(&mut here.route, VXLAN)?.is_some() {
            // Not ours by its looks (else this step would not be), but in our place and under our name.
            let mut batch = Messages::default();
            messages::delete_link(&mut batch, VXLAN);
            tolerant(&mut here.route, batch, &[Errno::ENODEV], "delete a device in the way")?;
        }
        let mut batch = Messages::default();
        messages::add_vxlan(&mut batch, VXLAN, vxlan, here.ns.as_raw_fd());
        // This thread is in the daemon's namespace, and there the device's UDP socket has to be.
        let failures = NetlinkSocket::route()?.run(batch)?;
        if let Some(failure) = failures.into_iter().next() {
            return Err(vxlan_refused(failure, vxlan));
        }
        here.vxlan = None;
        self.set_vxlan(vxlan)
    }

    fn set_vxlan(&mut self, vxlan: &Vxlan) -> Result<(), KernelError> {
        let scope = self.scope;
        let here = self.here()?;
        let bridge = here.bridge_index(scope)?;
        let mut batch = Messages::default();
        messages::set_vxlan(&mut batch, VXLAN, vxlan.mtu, bridge);
        // The device binds its UDP port when it goes up, not when it is made.
        match here.route.run(batch)?.into_iter().find(|f| f.errno != Errno::EAFNOSUPPORT) {
            Some(failure) if failure.errno == Errno::EADDRINUSE => {
                Err(KernelError::PortInUse { port: vxlan.port })
            }
            Some(failure) => Err(failure.into_error("set up the vxlan device")),
            None => Ok(()),
        }
    }

    fn delete_vxlan(&mut self) -> Result<(), KernelError> {
        let mut batch = Messages::default();
        messages::delete_link(&mut batch, VXLAN);
        let here = self.here()?;
        here.vxlan = None;
        tolerant(&mut here.route, batch, &[Errno::ENODEV], "delete the vxlan device")
    }

    fn load(&mut self, text: &str) -> Result<(), KernelError> {
        match self.scope {
            Scope::Gateway => nft::load(text),
            Scope::Overlay(_) => self.here()?.ns.run(|| nft::load(text))?,
        }
    }
}

/// Runs a batch whose refusals of these kinds are fine; the first other one is the error.
pub fn tolerant(
    socket: &mut NetlinkSocket,
    batch: Messages,
    fine: &[Errno],
    act: &str,
) -> Result<(), KernelError> {
    let failures = socket.run(batch)?;
    match failures.into_iter().find(|f| !fine.contains(&f.errno)) {
        Some(failure) => Err(failure.into_error(act)),
        None => Ok(()),
    }
}

fn vxlan_refused(failure: Failure, vxlan: &Vxlan) -> KernelError {
    match failure.errno {
        Errno::EEXIST => KernelError::ForeignVxlan { vni: vxlan.vni, port: vxlan.port },
        Errno::EADDRINUSE => KernelError::PortInUse { port: vxlan.port },
        _ => failure.into_error(format!("make the vxlan device with VNI {}", vxlan.vni)),
    }
}

/// Which steps go to the kernel together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entry,
    Allow,
    Forbid,
    Inside(swarm_overlay::PortName),
    Alone,
}

impl Kind {
    fn of(act: &Act) -> Self {
        match act {
            Act::PutFdb(..) | Act::DeleteFdb(..) | Act::PutNeighbour(..) | Act::DeleteNeighbour(_) => {
                Self::Entry
            }
            Act::Allow(_) => Self::Allow,
            Act::Forbid(_) => Self::Forbid,
            Act::AddAddress(port, ..)
            | Act::DeleteAddress(port, ..)
            | Act::PutRoute(port, ..)
            | Act::DeleteRoute(port, ..) => Self::Inside(*port),
            Act::AddNamespace
            | Act::DeleteNamespace
            | Act::AddBridge(_)
            | Act::SetBridge(_)
            | Act::DeleteBridge
            | Act::AddVxlan(_)
            | Act::SetVxlan(_)
            | Act::DeleteVxlan
            | Act::LoadRules { .. }
            | Act::DeleteRules
            | Act::LoadGuard(_)
            | Act::DeleteGuard
            | Act::AddPort(..)
            | Act::SetPort { .. }
            | Act::DeletePort(_) => Self::Alone,
        }
    }

    fn joins(self, next: Self) -> bool {
        self != Self::Alone && self == next
    }
}
