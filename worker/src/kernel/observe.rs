//! Reads one place from the kernel. Knows: which of the things there are ours, and how they translate into a
//! `Segment`. Must not know: what differs from what is desired. (The desired segment only says which
//! sandboxes to look into.)

use super::place::{Opened, Place};
use super::read::{self, Link};
use super::socket::{Answer, NetlinkSocket};
use super::uapi::*;
use super::wire::Messages;
use super::{KernelError, filter, messages, sysctl};
use ipnet::IpNet;
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use swarm_model::MacAddr;
use swarm_overlay::esp::{GUARD_TABLE, Guard};
use swarm_overlay::rules::{self, SET_V4, SET_V6};
use swarm_overlay::{
    Allowed, Bridge, FdbEntry, GATEWAY_PORT_PREFIX, Inside, NetnsPath, Port, PortLink, PortName, Route,
    Rules, Scope, Segment, TABLE, VXLAN, Vxlan,
};

impl Place {
    /// What is there now. `want` is what should be.
    pub fn observe(&mut self, want: &Segment) -> Result<Segment, KernelError> {
        let scope = self.scope;
        let Some(here) = self.open()? else { return Ok(Segment::default()) };
        let links = links(&mut here.route)?;
        let (rules, allowed) = here.observe_rules(scope, want.rules)?;
        let mut segment = Segment { namespace: true, rules, ..Segment::default() };
        let bridge = links.iter().find(|l| l.name == scope.bridge() && l.bridge.is_some());
        here.bridge = bridge.map(|l| l.index);
        segment.bridge = bridge.map(|l| here.observe_bridge(scope, l)).transpose()?;
        match scope {
            Scope::Gateway => segment.guard = observe_guard(&mut here.filter, want.guard.as_ref())?,
            Scope::Overlay(_) => here.observe_overlay(&links, &mut segment)?,
        }
        let bridge = here.bridge;
        let hosts: Vec<&Link> = links.iter().filter(|l| is_port(scope, l)).collect();
        let insides = self.observe_sandboxes(want);
        let sight = Sight { bridge, insides: &insides, want };
        for host in hosts {
            if let Some(name) = PortName::from_kernel(&host.name) {
                let port = self.observe_port(name, host, &sight);
                segment.ports.insert(name, port);
            }
        }
        merge_allowed(&mut segment, allowed);
        Ok(segment)
    }

    /// What is in each sandbox that should have a port here. One that is gone is not there.
    fn observe_sandboxes(&mut self, want: &Segment) -> BTreeMap<NetnsPath, Insides> {
        let paths: BTreeSet<NetnsPath> = want.ports.values().map(|p| p.link.inside.sandbox.clone()).collect();
        self.keep_sandboxes(|path| paths.contains(path));
        self.inner.clear();
        let mut found = BTreeMap::new();
        for path in paths {
            match self.refresh_sandbox(&path).and_then(|sandbox| Insides::read(&mut sandbox.route)) {
                Ok(insides) => drop(found.insert(path, insides)),
                Err(error) => tracing::debug!(%path, %error, "cannot look into a sandbox"),
            }
        }
        found
    }

    fn observe_port(&mut self, name: PortName, host: &Link, sight: &Sight<'_>) -> Port {
        let isolated = host.port.is_some_and(|p| p.isolated);
        let marked = host.alias == name.mark();
        let plugged = host.up && marked && sight.bridge.is_some() && host.master == sight.bridge;
        let unknown = PortLink {
            inside: Inside { sandbox: Arc::from(""), ifname: Arc::from("") },
            mac: MacAddr([0; 6]),
            mtu: 0,
            host_mtu: host.mtu,
            plugged,
            up: false,
            isolated,
        };
        let (mut addresses, mut routes, allowed) = Default::default();
        let Some((path, insides, link)) = sight.inside(name, host) else {
            return Port { link: unknown, addresses, routes, allowed };
        };
        self.inner.insert(name, (path.clone(), link.index));
        addresses = insides.addresses.get(&link.index).cloned().unwrap_or_default();
        routes = insides.routes.get(&link.index).cloned().unwrap_or_default();
        let link = PortLink {
            inside: Inside { sandbox: path.clone(), ifname: Arc::from(link.name.as_str()) },
            mac: link.mac.unwrap_or(unknown.mac),
            mtu: link.mtu,
            up: link.up && insides.loopback_up,
            ..unknown
        };
        Port { link, addresses, routes, allowed }
    }
}

/// What is known before the ports are looked at.
struct Sight<'a> {
    bridge: Option<u32>,
    insides: &'a BTreeMap<NetnsPath, Insides>,
    want: &'a Segment,
}

impl<'a> Sight<'a> {
    /// The inner end of a port, if it is where it should be.
    fn inside(&self, name: PortName, host: &Link) -> Option<(&'a NetnsPath, &'a Insides, &'a Link)> {
        let path = &self.want.ports.get(&name)?.link.inside.sandbox;
        let insides = self.insides.get(path)?;
        Some((path, insides, insides.other_end(name, host)?))
    }
}

/// The guard's table in the namespace of this socket, which is to be as `wanted`.
pub fn observe_guard(
    filter: &mut NetlinkSocket,
    wanted: Option<&Arc<Guard>>,
) -> Result<Option<Arc<Guard>>, KernelError> {
    let ask = |m: &mut Messages| filter::get_rules(m, NFT_FAMILY_INET, GUARD_TABLE);
    let answers = dump_or_nothing(filter, ask, "read the guard's rules")?;
    Ok(filter::read_guard(&answers, wanted))
}

impl Opened {
    fn observe_rules(
        &mut self,
        scope: Scope,
        wanted: Option<Rules>,
    ) -> Result<(Option<Rules>, BTreeSet<Allowed>), KernelError> {
        let expected = rules::expected(scope, wanted.and_then(|rules| rules.way_out));
        let families: &[u8] = if scope == Scope::Gateway {
            &[NFT_FAMILY_BRIDGE, NFT_FAMILY_INET]
        } else {
            &[NFT_FAMILY_BRIDGE]
        };
        let mut answers = Vec::new();
        for family in families {
            answers.extend(dump_or_nothing(
                &mut self.filter,
                |m| filter::get_rules(m, *family, TABLE),
                "read nftables rules",
            )?);
        }
        let mut allowed = BTreeSet::new();
        for set in [SET_V4, SET_V6] {
            let elements =
                dump_or_nothing(&mut self.filter, |m| filter::get_elements(m, set), "read an nftables set")?;
            allowed.extend(filter::read_elements(&elements));
        }
        Ok((filter::read_rules(&answers, wanted, expected), allowed))
    }

    fn observe_bridge(&mut self, scope: Scope, link: &Link) -> Result<Bridge, KernelError> {
        let quiet = link.bridge.is_some_and(|b| !b.stp && b.forward_delay == 0 && !b.snooping);
        let address =
            if scope == Scope::Gateway { addresses(&mut self.route)?.remove(&link.index) } else { None };
        // Several addresses are as wrong as none.
        let address =
            address.filter(|a| a.len() == 1).and_then(|a| a.into_iter().next()).and_then(|a| match a {
                IpNet::V4(v4) => Some(v4),
                IpNet::V6(_) => None,
            });
        let mut bridge = Bridge { mtu: link.mtu, up: link.up, address, tuned: false };
        let forwarding = scope != Scope::Gateway || sysctl::forwarding();
        bridge.tuned = quiet && forwarding && link.mac == Some(bridge.mac());
        Ok(bridge)
    }

    fn observe_overlay(&mut self, links: &[Link], segment: &mut Segment) -> Result<(), KernelError> {
        let vxlan = links.iter().find(|l| l.name == VXLAN);
        self.vxlan = vxlan.map(|l| l.index);
        segment.vxlan = vxlan.and_then(|link| {
            let info = link.vxlan?;
            let port = link.port.is_some_and(|p| !p.open && p.neigh_suppress);
            Some(Vxlan {
                vni: info.vni,
                port: info.port,
                local: info.local,
                nolearning: !info.learning,
                mtu: link.mtu,
                up: link.up,
                guarded: port && self.bridge.is_some() && link.master == self.bridge,
            })
        });
        if let Some(index) = self.vxlan {
            self.observe_fdb(index, segment)?;
        }
        if let Some(index) = self.bridge {
            self.observe_neighbours(index, segment)?;
        }
        Ok(())
    }

    fn observe_fdb(&mut self, index: u32, segment: &mut Segment) -> Result<(), KernelError> {
        let question = |m: &mut Messages| messages::dump_fdb(m, index);
        for entry in neighbours(&mut self.route, question, "read the forwarding table")? {
            let Some(mac) = entry.mac.filter(|_| entry.index == index) else { continue };
            let held = segment.fdb.get(&mac).copied().unwrap_or(FdbEntry { vtep: None, bridged: false });
            if entry.in_bridge {
                // Permanent ones are the bridge's own; what is not static was learned, and is none of ours.
                if entry.state & NUD_NOARP != 0 && entry.state & NUD_PERMANENT == 0 {
                    segment.fdb.insert(mac, FdbEntry { bridged: true, ..held });
                }
            } else {
                segment.fdb.insert(mac, FdbEntry { vtep: entry.to, ..held });
            }
        }
        Ok(())
    }

    fn observe_neighbours(&mut self, index: u32, segment: &mut Segment) -> Result<(), KernelError> {
        for family in [AF_INET, AF_INET6] {
            let question = |m: &mut Messages| messages::dump_neighbours(m, family, index);
            for entry in neighbours(&mut self.route, question, "read the neighbour table")? {
                if entry.index == index && entry.state & NUD_PERMANENT != 0 {
                    segment.neighbours.extend(entry.to.zip(entry.mac));
                }
            }
        }
        Ok(())
    }
}

/// In an overlay's namespace every veth is a port; in the daemon's only those named and marked so.
fn is_port(scope: Scope, link: &Link) -> bool {
    link.kind == "veth"
        && match scope {
            Scope::Overlay(_) => true,
            Scope::Gateway => link.name.starts_with(GATEWAY_PORT_PREFIX) && link.alias.starts_with("swarmd "),
        }
}

/// Elements of ports that are not there are kept as such a port's, so that they are seen and removed.
fn merge_allowed(segment: &mut Segment, allowed: BTreeSet<Allowed>) {
    for element in allowed {
        match segment.ports.get_mut(&element.port) {
            Some(port) if port.link.mac == element.mac => drop(port.allowed.insert(element.ip)),
            _ => drop(segment.strays.insert(element)),
        }
    }
}

/// What one sandbox holds.
struct Insides {
    links: Vec<Link>,
    loopback_up: bool,
    addresses: BTreeMap<u32, BTreeSet<IpNet>>,
    routes: BTreeMap<u32, BTreeSet<Route>>,
}

impl Insides {
    fn read(route: &mut NetlinkSocket) -> Result<Self, KernelError> {
        let links = links(route)?;
        let loopback_up = links.iter().any(|l| l.loopback && l.up);
        Ok(Self { links, loopback_up, addresses: addresses(route)?, routes: routes(route)? })
    }

    /// Both ends of a veth name each other's index; the mark tells it from one that has the same by chance.
    fn other_end(&self, name: PortName, host: &Link) -> Option<&Link> {
        let mark = name.mark();
        let other = |l: &&Link| Some(l.index) == host.peer && l.peer == Some(host.index) && l.alias == mark;
        self.links.iter().filter(|l| l.kind == "veth").find(other)
    }
}

/// All links of the socket's namespace.
pub fn links(route: &mut NetlinkSocket) -> Result<Vec<Link>, KernelError> {
    let question = |m: &mut Messages| {
        m.begin(GET_LINK, 0, &messages::link_header(0, 0, 0));
    };
    Ok(route.dump(question, "read the interfaces")?.iter().filter_map(|a| read::link(&a.body)).collect())
}

/// All addresses of the socket's namespace, by interface.
pub fn addresses(route: &mut NetlinkSocket) -> Result<BTreeMap<u32, BTreeSet<IpNet>>, KernelError> {
    let question = |m: &mut Messages| {
        m.begin(GET_ADDR, 0, &[AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0]);
    };
    let mut found: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
    for (index, address) in
        route.dump(question, "read the addresses")?.iter().filter_map(|a| read::address(&a.body))
    {
        found.entry(index).or_default().insert(address);
    }
    Ok(found)
}

fn routes(route: &mut NetlinkSocket) -> Result<BTreeMap<u32, BTreeSet<Route>>, KernelError> {
    let mut found: BTreeMap<u32, BTreeSet<Route>> = BTreeMap::new();
    for (index, one) in dump_routes(route)?.iter().filter_map(|a| read::route(&a.body)) {
        found.entry(index).or_default().insert(one);
    }
    Ok(found)
}

/// Every route of every table, as answers.
pub fn dump_routes(route: &mut NetlinkSocket) -> Result<Vec<Answer>, KernelError> {
    let question = |m: &mut Messages| {
        m.begin(GET_ROUTE, 0, &[0; 12]);
    };
    route.dump(question, "read the routes")
}

fn neighbours(
    route: &mut NetlinkSocket,
    question: impl Fn(&mut Messages),
    act: &str,
) -> Result<Vec<read::Neighbour>, KernelError> {
    Ok(route.dump(question, act)?.iter().filter_map(|a| read::neighbour(&a.body)).collect())
}

/// A table or set that does not exist is empty.
fn dump_or_nothing(
    socket: &mut NetlinkSocket,
    question: impl Fn(&mut Messages),
    act: &str,
) -> Result<Vec<Answer>, KernelError> {
    match socket.dump(question, act) {
        Err(e) if e.errno() == Some(Errno::ENOENT) => Ok(Vec::new()),
        other => other,
    }
}
