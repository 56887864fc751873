//! A model of one host's kernel: takes the steps that reconcile decides on, and is as strict as the real one about
//! what must exist before and what must not.

use swarm_model::Vni;
use swarm_overlay::{Act, Allowed, FdbEntry, Observed, Op, Port, PortName, Rules, Scope, Segment};

#[derive(Default)]
pub struct Kernel {
    pub observed: Observed,
}

impl Kernel {
    pub fn execute(&mut self, op: &Op) -> Result<(), String> {
        let result = match &op.act {
            Act::AddVxlan(vxlan) => {
                // Two devices of one host cannot share a VNI and a port (the kernel says EEXIST).
                let mut others = self.observed.segments.values().filter_map(|segment| segment.vxlan.as_ref());
                if others.any(|other| (other.vni, other.port) == (vxlan.vni, vxlan.port)) {
                    Err("a VXLAN device has this VNI and port")
                } else if !self.is_guarded(vxlan.vni) {
                    Err("no guard covers this VNI")
                } else {
                    self.segment(op.scope).devices(&op.act)
                }
            }
            Act::DeleteNamespace => {
                self.observed.segments.remove(&op.scope).map(drop).ok_or("no such namespace")
            }
            Act::AddNamespace
            | Act::AddBridge(_)
            | Act::SetBridge(_)
            | Act::DeleteBridge
            | Act::SetVxlan(_)
            | Act::DeleteVxlan => self.segment(op.scope).devices(&op.act),
            Act::LoadRules { way_out, allowed } => {
                self.segment(op.scope).load_rules(Rules::of(op.scope, *way_out), allowed)
            }
            Act::DeleteRules => self.segment(op.scope).delete_rules(),
            Act::LoadGuard(guard) => {
                self.segment(Scope::Gateway).0.guard = Some(guard.clone());
                Ok(())
            }
            Act::DeleteGuard => {
                self.segment(Scope::Gateway).0.guard = None;
                Ok(())
            }
            Act::Allow(_) | Act::Forbid(_) => self.segment(op.scope).check(&op.act),
            Act::PutFdb(..) | Act::DeleteFdb(..) | Act::PutNeighbour(..) | Act::DeleteNeighbour(_) => {
                self.segment(op.scope).entries(&op.act)
            }
            Act::AddPort(..) | Act::SetPort { .. } | Act::DeletePort(_) => {
                self.segment(op.scope).links(&op.act)
            }
            Act::AddAddress(port, ..)
            | Act::DeleteAddress(port, ..)
            | Act::PutRoute(port, ..)
            | Act::DeleteRoute(port, ..) => self.segment(op.scope).inside(*port, &op.act),
        };
        result.map_err(|problem| format!("`{op}`: {problem}"))
    }

    fn is_guarded(&self, vni: Vni) -> bool {
        let gateway = self.observed.segments.get(&Scope::Gateway);
        gateway.and_then(|segment| segment.guard.as_ref()).is_some_and(|guard| guard.covers(vni))
    }

    fn segment(&mut self, scope: Scope) -> Model<'_> {
        Model(self.observed.segments.entry(scope).or_default())
    }
}

struct Model<'a>(&'a mut Segment);

type Done = Result<(), &'static str>;

impl Model<'_> {
    fn devices(self, act: &Act) -> Done {
        let segment = self.0;
        match act {
            Act::AddNamespace if segment.namespace => return Err("the namespace exists"),
            Act::AddNamespace => segment.namespace = true,
            _ if !segment.namespace => return Err("no such namespace"),
            Act::AddBridge(_) if segment.bridge.is_some() => return Err("the bridge exists"),
            Act::SetBridge(_) | Act::DeleteBridge if segment.bridge.is_none() => {
                return Err("no such bridge");
            }
            Act::AddBridge(bridge) | Act::SetBridge(bridge) => segment.bridge = Some(bridge.clone()),
            Act::DeleteBridge => {
                segment.bridge = None;
                segment.neighbours.clear();
            }
            Act::AddVxlan(_) if segment.vxlan.is_some() => return Err("the device exists"),
            Act::SetVxlan(_) | Act::DeleteVxlan if segment.vxlan.is_none() => return Err("no such device"),
            Act::AddVxlan(vxlan) | Act::SetVxlan(vxlan) => segment.vxlan = Some(vxlan.clone()),
            Act::DeleteVxlan => {
                segment.vxlan = None;
                segment.fdb.clear();
            }
            _ => return Err("not a step of devices"),
        }
        Ok(())
    }

    fn load_rules(self, rules: Rules, allowed: &[Allowed]) -> Done {
        self.0.rules = Some(rules);
        self.0.strays.clear();
        self.0.ports.values_mut().for_each(|port| port.allowed.clear());
        allowed.iter().for_each(|one| allow(self.0, *one));
        Ok(())
    }

    fn delete_rules(self) -> Done {
        self.0.rules = None;
        self.0.strays.clear();
        self.0.ports.values_mut().for_each(|port| port.allowed.clear());
        Ok(())
    }

    fn check(self, act: &Act) -> Done {
        if self.0.rules.is_none() {
            return Err("no such table");
        }
        match act {
            Act::Allow(one) => allow(self.0, *one),
            Act::Forbid(one) => {
                self.0.strays.remove(one);
                if let Some(port) = self.0.ports.get_mut(&one.port).filter(|port| port.link.mac == one.mac) {
                    port.allowed.remove(&one.ip);
                }
            }
            _ => return Err("not a step of the check"),
        }
        Ok(())
    }

    fn entries(self, act: &Act) -> Done {
        match act {
            Act::PutFdb(..) | Act::DeleteFdb(..) if self.0.vxlan.is_none() => return Err("no such device"),
            Act::PutNeighbour(..) if self.0.bridge.is_none() => return Err("no such bridge"),
            Act::PutFdb(mac, vtep) => {
                self.0.fdb.insert(*mac, FdbEntry { vtep: Some(*vtep), bridged: true });
            }
            Act::DeleteFdb(mac, _) => {
                self.0.fdb.remove(mac);
            }
            Act::PutNeighbour(ip, mac) => {
                self.0.neighbours.insert(*ip, *mac);
            }
            Act::DeleteNeighbour(ip) => {
                self.0.neighbours.remove(ip);
            }
            _ => return Err("not a step of entries"),
        }
        Ok(())
    }

    fn links(self, act: &Act) -> Done {
        match act {
            Act::AddPort(..) if self.0.bridge.is_none() => return Err("no such bridge"),
            Act::AddPort(name, _) if self.0.ports.contains_key(name) => return Err("the port exists"),
            Act::AddPort(name, link) => {
                let mine = |one: &&Allowed| one.port == *name && one.mac == link.mac;
                let allowed = self.0.strays.iter().filter(mine).map(|one| one.ip).collect();
                self.0.strays.retain(|one| !mine(&one));
                let (addresses, routes) = Default::default();
                self.0.ports.insert(*name, Port { link: link.clone(), addresses, routes, allowed });
            }
            Act::SetPort { port, want, .. } => {
                self.0.ports.get_mut(port).ok_or("no such port")?.link = want.clone();
            }
            Act::DeletePort(name) => {
                let gone = self.0.ports.remove(name).ok_or("no such port")?;
                let stray = |ip: &_| Allowed { port: *name, mac: gone.link.mac, ip: *ip };
                self.0.strays.extend(gone.allowed.iter().map(stray));
            }
            _ => return Err("not a step of links"),
        }
        Ok(())
    }

    fn inside(self, name: PortName, act: &Act) -> Done {
        let port = self.0.ports.get_mut(&name).ok_or("no such port")?;
        match act {
            Act::AddAddress(_, _, address) => port.addresses.insert(*address),
            Act::DeleteAddress(_, _, address) => port.addresses.remove(address),
            Act::PutRoute(_, _, route) => port.routes.insert(*route),
            Act::DeleteRoute(_, _, route) => port.routes.remove(route),
            _ => return Err("not a step inside"),
        };
        Ok(())
    }
}

fn allow(segment: &mut Segment, one: Allowed) {
    match segment.ports.get_mut(&one.port).filter(|port| port.link.mac == one.mac) {
        Some(port) => port.allowed.insert(one.ip),
        None => segment.strays.insert(one),
    };
}
