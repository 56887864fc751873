//! Where managers are found: each says so itself, and the record follows.
//!
//! Knows: this manager's own address, what others said of theirs, and who has to hear what. Must not know: how a host
//! gets its addresses. An address is an attribute: who is meant is said by the certificate alone, so that trying a wrong
//! one does no harm.

mod book;
mod greet;
mod record;
mod round;
mod twin;

pub use book::{AddressBook, Whereabouts};
pub use greet::greeted;
pub use round::{Found, ask, greet_others, would_be_found};
pub use twin::last_found;

use crate::seat::Seat;
use parking_lot::Mutex;
use std::net::SocketAddr;
use swarm_identity::random;
use swarm_model::NodeId;
use swarm_proto::v1;
use tokio::sync::{Notify, watch};

/// Of one greeting; a cluster has far fewer managers.
const MOST_HINTS: usize = 64;

pub struct Addresses {
    own: watch::Sender<Whereabouts>,
    /// Where the operator said that another member is found (`HOST:PORT`), beside those on record.
    seeds: Mutex<Vec<String>>,
    /// Tells this run of the manager from a copy of its files that runs elsewhere.
    life: u64,
    /// Why another run under this manager's name is the one that counts.
    twin: watch::Sender<Option<String>>,
    news: Notify,
}

impl Addresses {
    pub fn new(own: SocketAddr, moves: u64) -> Self {
        Self {
            own: watch::Sender::new(Whereabouts { addr: own, moves }),
            seeds: Mutex::default(),
            life: u64::from_be_bytes(random::bytes()),
            twin: watch::Sender::new(None),
            news: Notify::new(),
        }
    }

    pub fn own(&self) -> Whereabouts {
        *self.own.borrow()
    }

    /// This manager is found elsewhere from now on; the others are told.
    pub fn moved(&self, addr: SocketAddr, moves: u64) {
        self.own.send_replace(Whereabouts { addr, moves });
        self.news.notify_one();
    }

    /// Whom to greet beside those on record; they are greeted at once.
    pub fn set_seeds(&self, seeds: Vec<String>) {
        *self.seeds.lock() = seeds;
        self.news.notify_one();
    }

    /// Returns, with the reason, when another run under this manager's name turned out to be the one that counts.
    pub async fn twin(&self) -> String {
        let mut twin = self.twin.subscribe();
        let reason = twin.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}

/// What this manager says of itself and of the others.
pub fn greeting(seat: &Seat) -> v1::Greeting {
    let others = seat.links.book().all().into_iter();
    let lineage = crate::recovery::lineage(seat);
    v1::Greeting {
        epoch: lineage.epoch.as_u64(),
        past: swarm_proto::past(&lineage),
        own: Some(spelled(seat.me().node, seat.addresses.own())),
        life: seat.addresses.life,
        others: others.map(|(node, said)| spelled(node, said)).collect(),
    }
}

/// Where that manager is found, by its own word or by the record.
pub fn found(seat: &Seat, node: NodeId) -> Option<v1::Whereabouts> {
    let recorded = || {
        let addr =
            seat.applied.read(|state| state.node(&node)?.manager.as_ref().map(|manager| manager.addr))?;
        Some(Whereabouts { addr, moves: 0 })
    };
    seat.links.book().said(node).or_else(recorded).map(|said| spelled(node, said))
}

fn spelled(node: NodeId, said: Whereabouts) -> v1::Whereabouts {
    v1::Whereabouts { node: node.to_string(), addr: said.addr.to_string(), moves: said.moves }
}

/// Takes down what a manager said of itself, over a channel that ends at it and nobody else.
fn note_own(seat: &Seat, node: NodeId, said: Option<v1::Whereabouts>) {
    let said = said.and_then(|said| Some(Whereabouts { addr: said.addr.parse().ok()?, moves: said.moves }));
    let Some(said) = said.filter(|_| is_other(seat, node)) else { return };
    if seat.links.book().note(node, said) {
        seat.links.forget(node);
    }
}

/// Takes down where others are said to be, of those that are managers here too: only as where else to look for them. True:
/// something of it is new.
fn note_hints(seat: &Seat, said: impl IntoIterator<Item = v1::Whereabouts>) -> bool {
    let mut news = false;
    for one in said.into_iter().take(MOST_HINTS) {
        // What cannot be read is of no use, and no reason to refuse the rest.
        let (Ok(node), Ok(addr)) = (one.node.parse(), one.addr.parse()) else { continue };
        let said = Whereabouts { addr, moves: one.moves };
        news |= is_other(seat, node) && seat.links.book().hint(node, said);
    }
    news
}

/// Whether this is another manager than this one, as far as the record goes.
fn is_other(seat: &Seat, node: NodeId) -> bool {
    node != seat.me().node
        && seat.applied.read(|state| state.node(&node).is_some_and(|node| node.manager.is_some()))
}
