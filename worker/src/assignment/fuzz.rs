//! Any bytes as what a manager sends, and as the file of what one sent. Must not know sessions.

use super::Assignments;
use super::disk::{decode, encode};
use prost::Message;
use std::net::IpAddr;
use swarm_model::{Assigned, Assignment, Id, NodeId};
use swarm_overlay::{Desired, HostFacts, Observed, diff};
use swarm_proto::v1::manager_message::Message as Sent;
use swarm_proto::v1::{ManagerMessage, Welcome};

/// Messages one after another, each with its length before it (two bytes, big end first).
///
/// # Panics
/// A message that does not follow changes what is held, or what is held does not lead to a picture of the kernel.
pub fn assignment_chain(bytes: &[u8]) {
    let held = Assignments::new(None);
    for message in pieces(bytes) {
        let Ok(message) = ManagerMessage::decode(message) else { return };
        let assignment = match message.message {
            Some(Sent::Complete(whole)) => Assignment::try_from(whole),
            Some(Sent::Incremental(step)) => Assignment::try_from(step),
            Some(Sent::Welcome(Welcome { .. }) | Sent::Heartbeat(_)) | None => continue,
        };
        let Ok(assignment) = assignment else { return };
        let before = held.read(Assigned::clone);
        match held.take(assignment) {
            Ok(()) => held.zones.reveal(held.revision().unwrap_or_default()),
            Err(_) => assert!(held.read(|now| *now == before), "a refused message changed something"),
        }
    }
    held.read(picture);
}

/// # Panics
/// What was read is not written and read the same.
pub fn assignment_file(bytes: &[u8]) {
    if let Ok(assigned) = decode(bytes) {
        assert!(decode(&encode(&assigned)).as_ref() == Ok(&assigned), "not the same again");
        picture(&assigned);
    }
}

/// What the kernel should look like, seen from each node there is; making it twice takes no second step.
fn picture(assigned: &Assigned) {
    let stranger: NodeId = Id::from_random([1; 16]);
    for node in assigned.peers.keys().copied().take(3).chain([stranger]) {
        let facts = HostFacts {
            node,
            data_path_addr: IpAddr::from([192, 0, 2, 1]),
            underlay_mtu: 1500,
            outside_mtu: 1500,
            lacks_esp: None,
            gateway: None,
        };
        let desired = Desired::derive(assigned, &[], &facts);
        let _ = diff(&Observed::default(), &desired);
    }
}

fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (piece, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        bytes = rest;
        Some(piece)
    })
}
