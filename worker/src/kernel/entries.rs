//! Table entries, many per message batch: forwarding entries, neighbours, elements of the port check.
//! Knows: batches, and which refusals mean that an entry is as it should be. Must not know: which entries
//! should be there.

use super::place::Place;
use super::socket::Failure;
use super::uapi::{NFT_DEL_SETELEM, NTF_MASTER, NTF_SELF};
use super::wire::Messages;
use super::{KernelError, filter, messages};
use nix::errno::Errno;
use swarm_overlay::{Act, Allowed, FdbEntry, Op};

/// Failures by the step's place in its group.
pub type Failures = Vec<(usize, KernelError)>;

/// Forwarding entries and neighbours: one message each.
pub fn change_entries(place: &mut Place, ops: &[Op]) -> Failures {
    try_entries(place, ops).unwrap_or_else(|error| vec![(0, error)])
}

fn try_entries(place: &mut Place, ops: &[Op]) -> Result<Failures, KernelError> {
    let scope = place.scope;
    let here = place.here()?;
    let mut batch = Messages::default();
    for op in ops {
        match &op.act {
            Act::PutFdb(mac, vtep) => messages::put_fdb(&mut batch, here.vxlan_index()?, *mac, *vtep),
            Act::DeleteFdb(mac, entry) => {
                messages::delete_fdb(&mut batch, here.vxlan_index()?, *mac, tables(*entry));
            }
            Act::PutNeighbour(ip, mac) => {
                messages::put_neighbour(&mut batch, here.bridge_index(scope)?, *ip, *mac)
            }
            Act::DeleteNeighbour(ip) => {
                messages::delete_neighbour(&mut batch, here.bridge_index(scope)?, *ip)
            }
            _ => {}
        }
    }
    let failures = here.route.run(batch)?;
    let op_of = |f: &Failure| ops.get(f.index);
    let mut again = Messages::default();
    for failure in &failures {
        // The kernel looks into the bridge's table first and stops there when the entry moved to another
        // port.
        if let Some(Act::DeleteFdb(mac, FdbEntry { vtep: Some(_), bridged: true })) =
            op_of(failure).map(|op| &op.act)
        {
            messages::delete_fdb(&mut again, here.vxlan_index()?, *mac, NTF_SELF);
        }
    }
    if !again.is_empty() {
        here.route.run(again)?;
    }
    let bad = failures.into_iter().filter(|f| !op_of(f).is_some_and(|op| is_done(&op.act, f.errno)));
    Ok(bad.map(|f| (f.index, f.clone().into_error("change a table entry"))).collect())
}

fn tables(entry: FdbEntry) -> u8 {
    let own = if entry.vtep.is_some() { NTF_SELF } else { 0 };
    own | if entry.bridged { NTF_MASTER } else { 0 }
}

fn is_done(act: &Act, errno: Errno) -> bool {
    let delete = matches!(act, Act::DeleteFdb(..) | Act::DeleteNeighbour(_));
    delete && matches!(errno, Errno::ENOENT | Errno::ENODEV | Errno::ESRCH)
}

/// Elements of the port check: one transaction. `kind` adds or deletes.
pub fn change_elements(place: &mut Place, ops: &[Op], kind: u16) -> Failures {
    let element = |op: &Op| match &op.act {
        Act::Allow(allowed) | Act::Forbid(allowed) => Some(*allowed),
        _ => None,
    };
    let all: Vec<Allowed> = ops.iter().filter_map(element).collect();
    match transact(place, &all, kind) {
        Ok(None) => Vec::new(),
        // An element that is gone already fails the whole transaction: one by one then.
        Ok(Some(failure)) if kind == NFT_DEL_SETELEM && failure.errno == Errno::ENOENT => {
            let each =
                all.iter().enumerate().filter_map(|(index, one)| match transact(place, &[*one], kind) {
                    Ok(None) => None,
                    Ok(Some(failure)) if failure.errno == Errno::ENOENT => None,
                    Ok(Some(failure)) => Some((index, failure.into_error("change the port check"))),
                    Err(error) => Some((index, error)),
                });
            each.collect()
        }
        Ok(Some(failure)) => vec![(0, failure.into_error("change the port check"))],
        Err(error) => vec![(0, error)],
    }
}

fn transact(place: &mut Place, all: &[Allowed], kind: u16) -> Result<Option<Failure>, KernelError> {
    let (batch, answers_to) = filter::elements(kind, all);
    let failures = place.here()?.filter.transact(batch, answers_to)?;
    Ok(failures.into_iter().next())
}
