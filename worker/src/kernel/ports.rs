//! Ports: a veth whose one end is on a bridge of ours and whose other end is in a sandbox. Knows: how to
//! make, mend and fill one. Must not know: which sandboxes there are.

use super::entries::Failures;
use super::execute::tolerant;
use super::place::{Place, index_of, link_of};
use super::socket::NetlinkSocket;
use super::uapi::{DEL_ADDR, DEL_ROUTE, NEW_ADDR, NEW_ROUTE, ROUTE_LOCAL};
use super::wire::Messages;
use super::{KernelError, messages};
use ipnet::IpNet;
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use swarm_model::MacAddr;
use swarm_overlay::{Act, Inside, Op, PortLink, PortName, Scope};

/// Milliseconds to wait for what the kernel does in its own time.
const WAITS: usize = 200;
/// Refusals of settings that only exist with IPv6.
const WITHOUT_IPV6: [Errno; 1] = [Errno::EAFNOSUPPORT];
/// The same inside a sandbox, where a neighbour table that does not exist is not found.
const INSIDE_FINE: [Errno; 2] = [Errno::EAFNOSUPPORT, Errno::ENOENT];

pub fn add(place: &mut Place, port: PortName, link: &PortLink) -> Result<(), KernelError> {
    let scope = place.scope;
    let sandbox = place.refresh_sandbox(&link.inside.sandbox)?.ns.as_raw_fd();
    let here = place.here()?;
    let bridge = here.bridge_index(scope)?;
    let mut batch = Messages::default();
    messages::add_port(&mut batch, port, link, bridge, sandbox);
    messages::set_port_host(&mut batch, port, link, bridge);
    let failures = here.route.run(batch)?;
    // The first message makes it; when that fails so do the others, and say nothing new.
    if let Some(failure) = failures.into_iter().find(|f| !WITHOUT_IPV6.contains(&f.errno)) {
        let taken = failure.index == 0 && failure.errno == Errno::EEXIST;
        if taken && index_of(&mut place.sandbox(&link.inside.sandbox)?.route, &link.inside.ifname)?.is_some()
        {
            return Err(name_taken(&link.inside));
        }
        if failure.errno == Errno::EXFULL {
            return Err(KernelError::BridgeFull { bridge: scope.bridge() });
        }
        return Err(failure.into_error(format!("make the interface {} in a sandbox", link.inside.ifname)));
    }
    let index = index_of(&mut place.sandbox(&link.inside.sandbox)?.route, &link.inside.ifname)?;
    place.inner.extend(index.map(|index| (port, (link.inside.sandbox.clone(), index))));
    set_inside(place, port, link, None)?;
    let bridge = scope.bridge();
    let here = place.here()?;
    wait_until_operational(&mut here.route, port.as_str())?;
    // A bridge without ports has no carrier; only the gateway's sends packets of its own.
    if scope == Scope::Gateway { wait_until_operational(&mut here.route, bridge) } else { Ok(()) }
}

/// An interface drops what it is to send until the kernel has acted on its carrier, which it does in its own
/// time; the first ARP would be lost. Since Linux 6.8 asking for the link makes it act at once; before, it
/// takes some milliseconds.
fn wait_until_operational(route: &mut NetlinkSocket, name: &str) -> Result<(), KernelError> {
    for _ in 0..WAITS {
        if link_of(route, name)?.is_none_or(|link| link.operational) {
            return Ok(());
        }
        wait_a_little();
    }
    tracing::warn!(name, "an interface is not operational yet; its first packets may be lost");
    Ok(())
}

pub fn set(place: &mut Place, port: PortName, link: &PortLink, held: MacAddr) -> Result<(), KernelError> {
    let scope = place.scope;
    let here = place.here()?;
    let bridge = here.bridge_index(scope)?;
    let mut batch = Messages::default();
    messages::set_port_host(&mut batch, port, link, bridge);
    tolerant(&mut here.route, batch, &WITHOUT_IPV6, &format!("set the port {port}"))?;
    set_inside(place, port, link, Some(link.mac).filter(|mac| *mac != held))
}

fn set_inside(
    place: &mut Place,
    port: PortName,
    link: &PortLink,
    mac: Option<MacAddr>,
) -> Result<(), KernelError> {
    let index = inner_index(place, port, &link.inside)?;
    let sandbox = place.sandbox(&link.inside.sandbox)?;
    let act = format!("set the interface {} in a sandbox", link.inside.ifname);
    let mut batch = Messages::default();
    messages::set_port_inside(&mut batch, port, link, (index, mac));
    messages::set_asking(&mut batch, index);
    match tolerant(&mut sandbox.route, batch, &INSIDE_FINE, &act) {
        // Kernels before 6.2 rename an interface only while it is down.
        Err(e) if e.errno() == Some(Errno::EBUSY) => {
            let mut batch = Messages::default();
            messages::set_down(&mut batch, index);
            messages::set_port_inside(&mut batch, port, link, (index, mac));
            messages::set_asking(&mut batch, index);
            tolerant(&mut sandbox.route, batch, &INSIDE_FINE, &act)
        }
        Err(e) if e.errno() == Some(Errno::EEXIST) => Err(name_taken(&link.inside)),
        other => other,
    }
}

fn name_taken(inside: &Inside) -> KernelError {
    KernelError::NameTaken { ifname: inside.ifname.to_string(), sandbox: inside.sandbox.to_string() }
}

fn inner_index(place: &mut Place, port: PortName, inside: &Inside) -> Result<u32, KernelError> {
    if let Some((_, index)) = place.inner.get(&port) {
        return Ok(*index);
    }
    let found = index_of(&mut place.sandbox(&inside.sandbox)?.route, &inside.ifname)?;
    let index = found.ok_or_else(|| KernelError::Refused {
        act: format!("find the interface {} in a sandbox", inside.ifname),
        errno: Errno::ENODEV,
        text: String::new(),
    })?;
    place.inner.insert(port, (inside.sandbox.clone(), index));
    Ok(index)
}

pub fn delete(place: &mut Place, port: PortName) -> Result<(), KernelError> {
    place.inner.remove(&port);
    let mut batch = Messages::default();
    messages::delete_link(&mut batch, port.as_str());
    tolerant(&mut place.here()?.route, batch, &[Errno::ENODEV], &format!("delete the port {port}"))
}

/// Addresses and routes of one port: one batch.
pub fn change_inside(place: &mut Place, ops: &[Op]) -> Failures {
    try_inside(place, ops).unwrap_or_else(|error| vec![(0, error)])
}

fn try_inside(place: &mut Place, ops: &[Op]) -> Result<Failures, KernelError> {
    let mut batch = Messages::default();
    let mut inside = None;
    for op in ops {
        let (Act::AddAddress(port, at, _)
        | Act::DeleteAddress(port, at, _)
        | Act::PutRoute(port, at, _)
        | Act::DeleteRoute(port, at, _)) = &op.act
        else {
            continue;
        };
        let index = inner_index(place, *port, at)?;
        match &op.act {
            Act::AddAddress(_, _, address) => messages::address(&mut batch, NEW_ADDR, index, *address),
            Act::DeleteAddress(_, _, address) => messages::address(&mut batch, DEL_ADDR, index, *address),
            Act::PutRoute(_, _, route) => messages::route(&mut batch, NEW_ROUTE, index, route),
            Act::DeleteRoute(_, _, route) => messages::route(&mut batch, DEL_ROUTE, index, route),
            _ => {}
        }
        inside = Some(at);
    }
    let Some(inside) = inside else { return Ok(Vec::new()) };
    let route = &mut place.sandbox(&inside.sandbox)?.route;
    let failures = route.run(batch)?;
    if failures.is_empty() {
        wait_until_local(route, ops);
    }
    let bad = failures.into_iter().filter(|f| !ops.get(f.index).is_some_and(|op| is_done(&op.act, f.errno)));
    Ok(bad
        .map(|f| (f.index, f.clone().into_error(format!("set up {} in a sandbox", inside.ifname))))
        .collect())
}

/// The kernel takes packets to a new IPv6 address only when it has gone through its duplicate detection, which
/// it does in its own time even where there is nothing to detect; the first packet would be dropped.
fn wait_until_local(route: &mut NetlinkSocket, ops: &[Op]) {
    for op in ops {
        let Act::AddAddress(_, inside, IpNet::V6(address)) = &op.act else { continue };
        let local = |route: &mut NetlinkSocket| {
            let mut question = Messages::default();
            messages::get_route(&mut question, address.addr().into());
            // No way at all is an error, and no more than not yet.
            let answer = route.get(question, "ask for the way to an address").ok().flatten();
            answer.is_some_and(|a| a.body.get(7) == Some(&ROUTE_LOCAL))
        };
        if !(0..WAITS).any(|_| local(route) || wait_a_little()) {
            tracing::warn!(%address, ifname = %inside.ifname, "an address is not in use yet");
            return;
        }
    }
}

/// Where there is nothing to poll: a millisecond. Always false.
fn wait_a_little() -> bool {
    let _ = nix::poll::poll(&mut [], 1u8);
    false
}

fn is_done(act: &Act, errno: Errno) -> bool {
    match act {
        Act::DeleteAddress(..) | Act::DeleteRoute(..) => {
            matches!(errno, Errno::ENOENT | Errno::ENODEV | Errno::ESRCH | Errno::EADDRNOTAVAIL)
        }
        // Ours is put again after its address was; one of ours that was different has been deleted before.
        Act::PutRoute(..) => errno == Errno::EEXIST,
        _ => false,
    }
}
