//! Being greeted: another manager says where it is found.
//! Knows: what to make sure of before that is believed. Must not know: how often anybody is greeted.

use super::{Whereabouts, greeting, is_other, note_hints};
use crate::recovery;
use crate::seat::Seat;
use std::net::SocketAddr;
use std::time::Duration;
use swarm_model::{Kin, NodeId};
use swarm_proto::parse;
use swarm_proto::v1::Greeting;
use swarm_proto::v1::membership_client::MembershipClient;
use tokio::time::timeout;
use tonic::Status;

/// For the greeter to answer where it says it is.
const DIAL_DEADLINE: Duration = Duration::from_secs(3);
/// For another self of it to answer where it was before. Mostly nobody does, and quorum may wait for this.
const COPY_DEADLINE: Duration = Duration::from_millis(1_500);

/// Takes the word of manager `node`, who has been dialled there if that was news, and answers with what is known here.
///
/// # Errors
/// It belongs to a past of the cluster, cannot be reached where it says, or is a copy of one that is there.
pub async fn greeted(seat: &Seat, node: NodeId, said: Greeting) -> Result<Greeting, Status> {
    let own = said.own.unwrap_or_default();
    let addr: SocketAddr = parse("own.addr", &own.addr, "an address as in 192.0.2.1:2377")?;
    let lineage = swarm_proto::lineage(said.epoch, &said.past);
    if !is_other(seat, node) {
        // Of whom nothing is known here, nothing is believed either.
        note_hints(seat, said.others);
        return Ok(greeting(seat));
    }
    let here = recovery::lineage(seat);
    if here.sees(&lineage) != Kin::Same {
        recovery::hear(seat, &lineage, (Some(node), &addr.to_string()));
        recovery::make_sure(seat, node, addr).await;
    }
    if let Some(reason) = here.refusal(&lineage) {
        return Err(Status::failed_precondition(format!("this greeting counts for nothing: {reason}")));
    }
    let word = Whereabouts { addr, moves: own.moves };
    let news = seat.links.book().is_news(node, word);
    if !news && seat.links.book().said(node).is_some_and(|known| known != word) {
        // It says what was so once: it may have slept, or somebody else goes by its name since.
        not_a_copy(seat, node, (word, said.life)).await?;
    }
    if news {
        tokio::try_join!(not_a_copy(seat, node, (word, said.life)), answers_there(seat, node, addr))?;
        if seat.links.book().note(node, word) {
            tracing::info!(%node, %addr, "a manager says where it is found");
            seat.links.forget(node);
            seat.addresses.news.notify_one();
        }
    }
    if note_hints(seat, said.others) {
        seat.addresses.news.notify_one();
    }
    Ok(greeting(seat))
}

/// An address that does not answer would cost a vote if it were believed.
async fn answers_there(seat: &Seat, node: NodeId, addr: SocketAddr) -> Result<(), Status> {
    let reason = match timeout(DIAL_DEADLINE, seat.links.dial(addr, node)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(reason)) => reason,
        Err(_) => format!("no answer within {} s", DIAL_DEADLINE.as_secs()),
    };
    let here = seat.addresses.own().addr;
    Err(Status::failed_precondition(format!(
        "cannot reach {addr} from {here}: {reason}; check --advertise-addr"
    )))
}

/// Of two that run under one name the one that was there goes on: two votes of one member could elect two leaders.
async fn not_a_copy(seat: &Seat, node: NodeId, (word, life): (Whereabouts, u64)) -> Result<(), Status> {
    let recorded = seat.applied.read(|state| state.node(&node)?.manager.as_ref().map(|m| m.addr));
    let before = seat.links.book().said(node).map(|said| said.addr).or(recorded);
    let Some(before) = before.filter(|before| *before != word.addr) else { return Ok(()) };
    let there = async {
        let channel = seat.links.dial(before, node).await.ok()?;
        MembershipClient::new(channel).greet(greeting(seat)).await.ok()
    };
    match timeout(COPY_DEADLINE, there).await.ok().flatten() {
        Some(answer) if answer.get_ref().life != life => Err(Status::already_exists(format!(
            "another swarmd with the identity of node {node} answers at {before}: this one runs on a copy of its files; \
             stop one of them, and let a copy `leave --force` before it joins as a node of its own"
        ))),
        _ => Ok(()),
    }
}
