//! The difference between what is and what should be, as steps in an order the kernel accepts.
//! Knows: what depends on what. Must not know: netlink.
//!
//! First everything that is too much, outermost last; then everything that lacks, outermost first. Entries
//! for other hosts come before local ports, so that a sandbox's first packet finds its way.

use crate::{Act, Allowed, Desired, Op, Port, Rules, Scope, Segment};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use ipnet::IpNet;

/// What the kernel holds, place by place: the same shape as [`Desired`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    pub segments: BTreeMap<Scope, Segment>,
}

/// Steps that make `observed` into `desired`. None exactly if nothing differs.
pub fn diff(observed: &Observed, desired: &Desired) -> Vec<Op> {
    let nothing = Segment::default();
    let scopes: BTreeSet<Scope> = observed.segments.keys().chain(desired.segments.keys()).copied().collect();
    let step = |scope: Scope| {
        let have = observed.segments.get(&scope).unwrap_or(&nothing);
        let want = desired.segments.get(&scope).map_or(&nothing, Arc::as_ref);
        diff_segment(scope, have, want)
    };
    scopes.into_iter().flat_map(step).collect()
}

/// Steps that make a host that looks like `old` into one that looks like `new`: what [`diff`] would say,
/// without looking at the kernel. A place shared by both costs nothing.
pub fn delta(old: &Desired, new: &Desired) -> Vec<Op> {
    let nothing = Arc::new(Segment::default());
    let scopes: BTreeSet<Scope> = old.segments.keys().chain(new.segments.keys()).copied().collect();
    let step = |scope: Scope| {
        let have = old.segments.get(&scope).unwrap_or(&nothing);
        let want = new.segments.get(&scope).unwrap_or(&nothing);
        if Arc::ptr_eq(have, want) { Vec::new() } else { diff_segment(scope, have, want) }
    };
    scopes.into_iter().flat_map(step).collect()
}

/// The same for one place.
pub fn diff_segment(scope: Scope, have: &Segment, want: &Segment) -> Vec<Op> {
    let mut steps = Steps::default();
    if want.namespace {
        steps.guard(have, want);
        steps.entries(have, want);
        steps.ports(have, want);
        steps.devices(have, want);
        steps.rules(have, want);
    } else {
        steps.removal(scope, have);
    }
    steps.in_order().into_iter().map(|act| Op { scope, act }).collect()
}

/// Steps gathered by what they are about; `in_order` strings them together.
#[derive(Default)]
struct Steps {
    less: Vec<Act>,
    less_devices: Vec<Act>,
    devices: Vec<Act>,
    entries: Vec<Act>,
    ports: Vec<Act>,
}

impl Steps {
    fn in_order(self) -> Vec<Act> {
        [self.less, self.less_devices, self.devices, self.entries, self.ports].concat()
    }

    fn removal(&mut self, scope: Scope, have: &Segment) {
        self.less.extend(have.ports.keys().copied().map(Act::DeletePort));
        self.less_devices.extend(have.vxlan.iter().map(|_| Act::DeleteVxlan));
        match scope {
            Scope::Gateway => {
                self.less_devices.extend(have.bridge.iter().map(|_| Act::DeleteBridge));
                // An emptied table shows no rules, so the bridge stands for it too.
                let rules = have.rules.is_some() || have.bridge.is_some();
                self.less_devices.extend(rules.then_some(Act::DeleteRules));
                self.less_devices.extend(have.guard.iter().map(|_| Act::DeleteGuard));
            }
            Scope::Overlay(_) if have.namespace => self.less_devices.push(Act::DeleteNamespace),
            Scope::Overlay(_) => {}
        }
    }

    fn guard(&mut self, have: &Segment, want: &Segment) {
        match (&have.guard, &want.guard) {
            (have, Some(want)) if have.as_ref() == Some(want) => {}
            (_, Some(want)) => self.devices.push(Act::LoadGuard(want.clone())),
            (Some(_), None) => self.less_devices.push(Act::DeleteGuard),
            (None, None) => {}
        }
    }

    fn devices(&mut self, have: &Segment, want: &Segment) {
        if !have.namespace {
            self.devices.push(Act::AddNamespace);
        }
        match (&have.bridge, &want.bridge) {
            (Some(have), Some(want)) if have == want => {}
            (Some(_), Some(want)) => self.devices.push(Act::SetBridge(want.clone())),
            (None, Some(want)) => self.devices.push(Act::AddBridge(want.clone())),
            (Some(_), None) => self.less_devices.push(Act::DeleteBridge),
            (None, None) => {}
        }
        match (&have.vxlan, &want.vxlan) {
            (Some(have), Some(want)) if have == want => {}
            (Some(have), Some(want)) if have.same_device(want) => {
                self.devices.push(Act::SetVxlan(want.clone()))
            }
            (have, want) => {
                self.less_devices.extend(have.iter().map(|_| Act::DeleteVxlan));
                self.devices.extend(want.clone().map(Act::AddVxlan));
            }
        }
    }

    /// A new table comes with its elements, so a table that is not as it should be needs no step per element.
    fn rules(&mut self, have: &Segment, want: &Segment) {
        if have.rules == want.rules {
            return self.elements(have, want);
        }
        match want.rules {
            Some(Rules { way_out, .. }) => {
                self.devices.push(Act::LoadRules { way_out, allowed: want.allowed().collect() });
            }
            None => self.less_devices.push(Act::DeleteRules),
        }
    }

    fn elements(&mut self, have: &Segment, want: &Segment) {
        let (have, want): (BTreeSet<Allowed>, BTreeSet<Allowed>) =
            (have.allowed().collect(), want.allowed().collect());
        self.less.extend(have.difference(&want).copied().map(Act::Forbid));
        self.ports.extend(want.difference(&have).copied().map(Act::Allow));
    }

    fn entries(&mut self, have: &Segment, want: &Segment) {
        let keep_device = match (&have.vxlan, &want.vxlan) {
            (Some(have), Some(want)) => have.same_device(want),
            _ => false,
        };
        // Entries live and die with the device (and the bridge) they are on.
        let none = BTreeMap::new();
        let fdb = if keep_device { &have.fdb } else { &none };
        let (gone, lacking) = compare(fdb, &want.fdb);
        self.less.extend(gone.into_iter().map(|(mac, entry)| Act::DeleteFdb(*mac, *entry)));
        for (mac, entry) in lacking {
            self.entries.extend(entry.vtep.map(|vtep| Act::PutFdb(*mac, vtep)));
        }
        let none = BTreeMap::new();
        // Setting a bridge right may cost its neighbours.
        let right = have.bridge.as_ref().is_some_and(|bridge| bridge.tuned);
        let neighbours = if right { &have.neighbours } else { &none };
        let (gone, lacking) = compare(neighbours, &want.neighbours);
        self.less.extend(gone.into_iter().map(|(ip, _)| Act::DeleteNeighbour(*ip)));
        self.entries.extend(lacking.into_iter().map(|(ip, mac)| Act::PutNeighbour(*ip, *mac)));
    }

    fn ports(&mut self, have: &Segment, want: &Segment) {
        for name in have.ports.keys().filter(|name| !want.ports.contains_key(name)) {
            self.less.push(Act::DeletePort(*name));
        }
        for (name, want) in &want.ports {
            match have.ports.get(name) {
                Some(have) if have.link.inside.sandbox == want.link.inside.sandbox => {
                    self.port(*name, have, want);
                }
                old => {
                    self.less.extend(old.map(|_| Act::DeletePort(*name)));
                    self.new_port(*name, want);
                }
            }
        }
    }

    fn new_port(&mut self, name: crate::PortName, want: &Port) {
        let inside = &want.link.inside;
        self.ports.push(Act::AddPort(name, want.link.clone()));
        self.ports.extend(want.addresses.iter().map(|a| Act::AddAddress(name, inside.clone(), *a)));
        self.ports.extend(want.routes.iter().map(|r| Act::PutRoute(name, inside.clone(), *r)));
    }

    fn port(&mut self, name: crate::PortName, have: &Port, want: &Port) {
        let inside = &want.link.inside;
        if have.link != want.link {
            let (want, have) = (want.link.clone(), have.link.clone());
            self.ports.push(Act::SetPort { port: name, want, have });
        }
        let gone = have.routes.difference(&want.routes);
        self.ports.extend(gone.map(|r| Act::DeleteRoute(name, inside.clone(), *r)));
        let gone: BTreeSet<&IpNet> = have.addresses.difference(&want.addresses).collect();
        self.ports.extend(gone.iter().map(|a| Act::DeleteAddress(name, inside.clone(), **a)));
        // With an address the kernel may take others of its subnet, and routes: all are put again then.
        let again = !gone.is_empty();
        let lacking = want.addresses.iter().filter(|a| again || !have.addresses.contains(*a));
        self.ports.extend(lacking.map(|a| Act::AddAddress(name, inside.clone(), *a)));
        let lacking = want.routes.iter().filter(|r| again || !have.routes.contains(*r));
        self.ports.extend(lacking.map(|r| Act::PutRoute(name, inside.clone(), *r)));
    }
}

type Entries<'a, K, V> = Vec<(&'a K, &'a V)>;

/// Entries whose key nobody wants, and those that are wanted and not there so. Both maps are walked once, side by side:
/// these are the two large tables, and mostly they are alike.
fn compare<'a, K: Ord, V: PartialEq>(
    have: &'a BTreeMap<K, V>,
    want: &'a BTreeMap<K, V>,
) -> (Entries<'a, K, V>, Entries<'a, K, V>) {
    let (mut gone, mut lacking) = (Vec::new(), Vec::new());
    let (mut held, mut wanted) = (have.iter().peekable(), want.iter().peekable());
    loop {
        let order = match (held.peek(), wanted.peek()) {
            (None, None) => return (gone, lacking),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((held, _)), Some((wanted, _))) => held.cmp(wanted),
        };
        match order {
            Ordering::Less => gone.extend(held.next()),
            Ordering::Greater => lacking.extend(wanted.next()),
            Ordering::Equal => {
                let value = held.next().map(|(_, value)| value);
                lacking.extend(wanted.next().filter(|(_, wanted)| value != Some(*wanted)));
            }
        }
    }
}
