//! A kernel made of values: what each step does to what is there. Knows: what the real one does to dependants
//! (a deleted device takes its entries along). Must not know: what is desired. For tests and for the
//! simulated world.

use crate::{Act, Allowed, Desired, FdbEntry, Observed, Op, Port, Rules, Segment};
use alloc::collections::BTreeSet;

impl Observed {
    /// A kernel that holds exactly what is desired.
    pub fn matching(desired: &Desired) -> Self {
        let segments = desired.segments.iter().map(|(scope, segment)| (*scope, Segment::clone(segment)));
        Self { segments: segments.collect() }
    }

    /// Does what the kernel does on this step.
    pub fn take(&mut self, op: &Op) {
        let segment = self.segments.entry(op.scope).or_default();
        let elements: BTreeSet<Allowed> = segment.allowed().collect();
        let elements = segment.take_elements(op, elements);
        segment.take_device(&op.act);
        segment.take_port(&op.act);
        segment.take_entry(&op.act);
        segment.hand_out(elements);
        if *segment == Segment::default() {
            self.segments.remove(&op.scope);
        }
    }
}

impl Segment {
    /// The elements of the port check are a set of their own, whichever ports there are.
    fn take_elements(&mut self, op: &Op, mut elements: BTreeSet<Allowed>) -> BTreeSet<Allowed> {
        match &op.act {
            Act::LoadRules { way_out, allowed } => {
                self.rules = Some(Rules::of(op.scope, *way_out));
                allowed.iter().copied().collect()
            }
            Act::DeleteRules | Act::DeleteNamespace => {
                self.rules = None;
                BTreeSet::new()
            }
            Act::Allow(allowed) => {
                elements.insert(*allowed);
                elements
            }
            Act::Forbid(allowed) => {
                elements.remove(allowed);
                elements
            }
            _ => elements,
        }
    }

    fn hand_out(&mut self, elements: BTreeSet<Allowed>) {
        self.strays.clear();
        self.ports.values_mut().for_each(|port| port.allowed.clear());
        for element in elements {
            match self.ports.get_mut(&element.port) {
                Some(port) if port.link.mac == element.mac => port.allowed.extend([element.ip]),
                _ => self.strays.extend([element]),
            }
        }
    }

    fn take_device(&mut self, act: &Act) {
        match act {
            Act::AddNamespace => self.namespace = true,
            Act::DeleteNamespace => *self = Self::default(),
            Act::AddBridge(bridge) | Act::SetBridge(bridge) => {
                if self.bridge.as_ref().is_none_or(|held| !held.tuned) {
                    self.neighbours.clear();
                }
                self.namespace = true;
                self.bridge = Some(bridge.clone());
            }
            Act::DeleteBridge => self.lose_bridge(),
            Act::LoadGuard(guard) => {
                self.namespace = true;
                self.guard = Some(guard.clone());
            }
            Act::DeleteGuard => self.guard = None,
            Act::AddVxlan(vxlan) | Act::SetVxlan(vxlan) => self.vxlan = Some(vxlan.clone()),
            Act::DeleteVxlan => {
                self.vxlan = None;
                self.fdb.clear();
            }
            _ => {}
        }
    }

    fn lose_bridge(&mut self) {
        self.bridge = None;
        self.neighbours.clear();
        self.fdb.values_mut().for_each(|entry| entry.bridged = false);
        self.fdb.retain(|_, entry| entry.vtep.is_some());
        self.vxlan.iter_mut().for_each(|vxlan| vxlan.guarded = false);
        self.ports.values_mut().for_each(|port| port.link.plugged = false);
    }

    fn take_port(&mut self, act: &Act) {
        match act {
            Act::AddPort(name, link) => {
                let (addresses, routes, allowed) = Default::default();
                self.ports.insert(*name, Port { link: link.clone(), addresses, routes, allowed });
            }
            Act::DeletePort(name) => drop(self.ports.remove(name)),
            Act::SetPort { port, want, .. } => self.change(port, |p| p.link = want.clone()),
            Act::AddAddress(port, _, address) => self.change(port, |p| p.addresses.extend([*address])),
            // With its last address of a family an interface loses the routes of that family.
            Act::DeleteAddress(port, _, address) => self.change(port, |p| {
                p.addresses.remove(address);
                let is_v4 = address.addr().is_ipv4();
                if !p.addresses.iter().any(|a| a.addr().is_ipv4() == is_v4) {
                    p.routes.retain(|r| r.to.addr().is_ipv4() != is_v4);
                }
            }),
            Act::PutRoute(port, _, route) => self.change(port, |p| {
                p.routes.retain(|r| r.to != route.to);
                p.routes.insert(*route);
            }),
            Act::DeleteRoute(port, _, route) => self.change(port, |p| p.routes.retain(|r| r != route)),
            _ => {}
        }
    }

    fn change(&mut self, port: &crate::PortName, change: impl FnOnce(&mut Port)) {
        if let Some(port) = self.ports.get_mut(port) {
            change(port);
        }
    }

    fn take_entry(&mut self, act: &Act) {
        match act {
            Act::PutFdb(mac, vtep) => {
                self.fdb.extend([(*mac, FdbEntry { vtep: Some(*vtep), bridged: true })]);
            }
            Act::DeleteFdb(mac, gone) => {
                if let Some(entry) = self.fdb.get_mut(mac) {
                    entry.vtep = entry.vtep.filter(|_| gone.vtep.is_none());
                    entry.bridged &= !gone.bridged;
                }
                self.fdb.retain(|_, entry| entry.vtep.is_some() || entry.bridged);
            }
            Act::PutNeighbour(ip, mac) => self.neighbours.extend([(*ip, *mac)]),
            Act::DeleteNeighbour(ip) => drop(self.neighbours.remove(ip)),
            _ => {}
        }
    }
}
