//! One step from what is to what should be. Knows: the steps, and the command each one equals. Must not know:
//! how it is done.

use crate::esp::{GUARD_TABLE, Guard};
use crate::names::{GATEWAY_BRIDGE, ROUTE_METRIC, ROUTE_PROTOCOL, TABLE, VXLAN};
use crate::{Allowed, Bridge, FdbEntry, Inside, PortLink, PortName, Route, Scope, Vxlan, WayOut};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use ipnet::IpNet;
use swarm_model::MacAddr;

/// A step and where it is taken. Every step ensures: done twice, it does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    pub scope: Scope,
    pub act: Act,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    AddNamespace,
    DeleteNamespace,
    AddBridge(Bridge),
    SetBridge(Bridge),
    DeleteBridge,
    AddVxlan(Vxlan),
    SetVxlan(Vxlan),
    DeleteVxlan,
    /// Replaces the tables as a whole, with the elements they must hold.
    LoadRules {
        way_out: Option<WayOut>,
        allowed: Vec<Allowed>,
    },
    DeleteRules,
    /// Replaces the guard's table as a whole.
    LoadGuard(Arc<Guard>),
    DeleteGuard,
    AddPort(PortName, PortLink),
    /// Towards `want`, from an interface that is called `have` inside the same sandbox.
    SetPort {
        port: PortName,
        want: PortLink,
        have: PortLink,
    },
    DeletePort(PortName),
    AddAddress(PortName, Inside, IpNet),
    DeleteAddress(PortName, Inside, IpNet),
    PutRoute(PortName, Inside, Route),
    DeleteRoute(PortName, Inside, Route),
    Allow(Allowed),
    Forbid(Allowed),
    PutFdb(MacAddr, IpAddr),
    /// Takes a MAC out of the tables it is in.
    DeleteFdb(MacAddr, FdbEntry),
    PutNeighbour(IpAddr, MacAddr),
    DeleteNeighbour(IpAddr),
}

impl Act {
    /// True for steps that take something away.
    pub fn is_removal(&self) -> bool {
        matches!(
            self,
            Self::DeleteNamespace
                | Self::DeleteBridge
                | Self::DeleteVxlan
                | Self::DeleteRules
                | Self::DeleteGuard
                | Self::DeletePort(_)
                | Self::DeleteAddress(..)
                | Self::DeleteRoute(..)
                | Self::Forbid(_)
                | Self::DeleteFdb(..)
                | Self::DeleteNeighbour(_)
        )
    }

    /// The port a step belongs to; `None` for those of the whole place. A failing step of one port stops no
    /// other.
    pub fn port(&self) -> Option<PortName> {
        match self {
            Self::AddPort(port, _)
            | Self::SetPort { port, .. }
            | Self::DeletePort(port)
            | Self::AddAddress(port, ..)
            | Self::DeleteAddress(port, ..)
            | Self::PutRoute(port, ..)
            | Self::DeleteRoute(port, ..) => Some(*port),
            Self::Allow(allowed) | Self::Forbid(allowed) => Some(allowed.port),
            Self::AddNamespace
            | Self::DeleteNamespace
            | Self::AddBridge(_)
            | Self::SetBridge(_)
            | Self::DeleteBridge
            | Self::AddVxlan(_)
            | Self::SetVxlan(_)
            | Self::DeleteVxlan
            | Self::LoadRules { .. }
            | Self::DeleteRules
            | Self::LoadGuard(_)
            | Self::DeleteGuard
            | Self::PutFdb(..)
            | Self::DeleteFdb(..)
            | Self::PutNeighbour(..)
            | Self::DeleteNeighbour(_) => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.act {
            Act::AddNamespace => write!(f, "ip netns add {}", self.scope),
            Act::DeleteNamespace => write!(f, "ip netns delete {}", self.scope),
            Act::AddBridge(_)
            | Act::SetBridge(_)
            | Act::DeleteBridge
            | Act::AddVxlan(_)
            | Act::SetVxlan(_)
            | Act::DeleteVxlan => self.device(f),
            Act::LoadRules { .. } | Act::DeleteRules | Act::Allow(_) | Act::Forbid(_) => self.rules(f),
            Act::LoadGuard(guard) => write!(f, "nft -f - (the guard of {} networks)", guard.members.len()),
            Act::DeleteGuard => write!(f, "nft delete table inet {GUARD_TABLE}"),
            Act::AddPort(..) | Act::SetPort { .. } | Act::DeletePort(_) => self.port(f),
            Act::AddAddress(_, inside, address) => {
                write!(f, "ip -n {} address add {address} dev {}", inside.sandbox, inside.ifname)
            }
            Act::DeleteAddress(_, inside, address) => {
                write!(f, "ip -n {} address delete {address} dev {}", inside.sandbox, inside.ifname)
            }
            Act::PutRoute(_, inside, route) => write_route(f, "replace", inside, route),
            Act::DeleteRoute(_, inside, route) => write_route(f, "delete", inside, route),
            Act::PutFdb(..) | Act::DeleteFdb(..) | Act::PutNeighbour(..) | Act::DeleteNeighbour(_) => {
                self.entry(f)
            }
        }
    }
}

impl Op {
    fn ip(&self) -> String {
        alloc::format!("ip{}", self.scope.option())
    }

    fn device(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ip, bridge) = (self.ip(), self.scope.bridge());
        match &self.act {
            Act::AddBridge(b) => {
                write!(
                    f,
                    "{ip} link add {bridge} mtu {} up type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                    b.mtu
                )?;
                b.address.map_or(Ok(()), |a| write!(f, " && {ip} address add {a} dev {bridge}"))
            }
            Act::SetBridge(b) => {
                write!(
                    f,
                    "{ip} link set {bridge} mtu {} up type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                    b.mtu
                )?;
                b.address.map_or(Ok(()), |a| write!(f, " && {ip} address replace {a} dev {bridge}"))
            }
            Act::DeleteBridge => write!(f, "{ip} link delete {bridge}"),
            Act::AddVxlan(v) => write!(
                f,
                "ip link add {VXLAN} netns {} mtu {} type vxlan id {} dstport {} local {} nolearning && {}",
                self.scope,
                v.mtu,
                v.vni,
                v.port,
                v.local,
                self.guard()
            ),
            Act::SetVxlan(v) => write!(f, "{ip} link set {VXLAN} mtu {} && {}", v.mtu, self.guard()),
            _ => write!(f, "{ip} link delete {VXLAN}"),
        }
    }

    fn guard(&self) -> String {
        alloc::format!(
            "{} link set {VXLAN} master {} up type bridge_slave learning off flood off mcast_flood off bcast_flood off neigh_suppress on",
            self.ip(),
            self.scope.bridge()
        )
    }

    fn rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enter = match self.scope {
            Scope::Gateway => String::new(),
            Scope::Overlay(ns) => alloc::format!("ip netns exec {ns} "),
        };
        let element = |verb: &str, a: &Allowed, f: &mut fmt::Formatter<'_>| {
            let set = if a.ip.is_ipv4() { "v4" } else { "v6" };
            write!(
                f,
                "{enter}nft {verb} element bridge {TABLE} {set} {{ {} . {} . {} }}",
                a.port, a.mac, a.ip
            )
        };
        match &self.act {
            Act::LoadRules { allowed, .. } => {
                write!(f, "{enter}nft -f - (our tables, {} elements)", allowed.len())
            }
            Act::Allow(a) => element("add", a, f),
            Act::Forbid(a) => element("delete", a, f),
            _ => write!(f, "{enter}nft delete table bridge {TABLE}"),
        }
    }

    fn port(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ip, bridge) = (self.ip(), self.scope.bridge());
        let isolated = |link: &PortLink| if link.isolated { " isolated on" } else { "" };
        match &self.act {
            Act::AddPort(name, l) => write!(
                f,
                "{ip} link add {name} mtu {} master {bridge} up{} type veth peer name {} netns {} address {} mtu {}",
                l.host_mtu,
                isolated(l),
                l.inside.ifname,
                l.inside.sandbox,
                l.mac,
                l.mtu
            ),
            Act::SetPort { port, want, have } => write!(
                f,
                "{ip} link set {port} mtu {} master {bridge} up{} && ip -n {} link set {} name {} address {} mtu {} up",
                want.host_mtu,
                isolated(want),
                want.inside.sandbox,
                have.inside.ifname,
                want.inside.ifname,
                want.mac,
                want.mtu
            ),
            Act::DeletePort(name) => write!(f, "{ip} link delete {name}"),
            _ => Ok(()),
        }
    }

    fn entry(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (option, bridge) = (self.scope.option(), self.scope.bridge());
        match &self.act {
            Act::PutFdb(mac, vtep) => {
                write!(f, "bridge{option} fdb replace {mac} dev {VXLAN} self master static dst {vtep}")
            }
            Act::DeleteFdb(mac, entry) => {
                let own = if entry.vtep.is_some() { " self" } else { "" };
                let master = if entry.bridged { " master" } else { "" };
                write!(f, "bridge{option} fdb delete {mac} dev {VXLAN}{own}{master}")
            }
            Act::PutNeighbour(ip, mac) => {
                write!(f, "ip{option} neighbour replace {ip} lladdr {mac} dev {bridge} nud permanent")
            }
            Act::DeleteNeighbour(ip) => write!(f, "ip{option} neighbour delete {ip} dev {bridge}"),
            _ => Ok(()),
        }
    }
}

fn write_route(f: &mut fmt::Formatter<'_>, verb: &str, inside: &Inside, route: &Route) -> fmt::Result {
    write!(f, "ip -n {} route {verb} {}", inside.sandbox, route.to)?;
    if let Some(via) = route.via {
        write!(f, " via {via}")?;
    }
    write!(f, " dev {} proto {ROUTE_PROTOCOL} metric {ROUTE_METRIC}", inside.ifname)
}

/// The name of a place's bridge that `Display` above relies on being fixed.
const _: () = assert!(GATEWAY_BRIDGE.len() <= 15);
