//! What was heard and not yet judged. Knows: that only the last word about a thing counts, and a bound.
//! Must not know: what the words mean.

use crate::kernel::{EventSocket, Heard, Source};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use swarm_model::MacAddr;
use tokio::sync::Notify;

/// Things remembered at most; beyond it everything is forgotten but that something was lost.
const MOST: usize = 8192;
/// One notification is a few hundred bytes, of a link up to some thousand.
const READ_BYTES: usize = 16 * 1024;

#[derive(Default)]
pub struct Inbox {
    heard: Mutex<BTreeMap<(Source, Subject), Heard>>,
    woken: Notify,
}

/// What a notification is about; a later one about the same replaces it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Lost,
    Rules,
    Link(u32),
    /// A link that went down. That it is up again does not bring back the routes it lost on the way.
    Fallen(u32),
    Address(u32, ipnet::IpNet),
    Route(u32, swarm_overlay::Route),
    /// Family, interface, in the bridge's table, address, MAC (of forwarding entries).
    Neighbour(u8, u32, bool, Option<IpAddr>, Option<MacAddr>),
    Element(swarm_overlay::Allowed),
}

impl Subject {
    fn of(heard: &Heard) -> Self {
        const AF_BRIDGE: u8 = 7;
        match heard {
            Heard::Lost => Self::Lost,
            Heard::Rules => Self::Rules,
            Heard::Link { link, gone: false } if link.fell => Self::Fallen(link.index),
            Heard::Link { link, .. } => Self::Link(link.index),
            Heard::Address { index, address, .. } => Self::Address(*index, *address),
            Heard::Route { index, route, .. } => Self::Route(*index, *route),
            Heard::Element { element, .. } => Self::Element(*element),
            // A forwarding entry is one per MAC in each table, whichever port it points at.
            Heard::Neighbour { entry: e, .. } if e.family == AF_BRIDGE && e.in_bridge => {
                Self::Neighbour(e.family, 0, true, None, e.mac)
            }
            Heard::Neighbour { entry: e, .. } if e.family == AF_BRIDGE => {
                Self::Neighbour(e.family, e.index, false, None, e.mac)
            }
            Heard::Neighbour { entry: e, .. } => Self::Neighbour(e.family, e.index, false, e.to, None),
        }
    }
}

impl Inbox {
    fn put(&self, source: &Source, heard: Vec<Heard>) {
        let mut held = self.heard.lock();
        for one in heard {
            if held.len() >= MOST {
                held.clear();
                held.insert((source.clone(), Subject::Lost), Heard::Lost);
            }
            if let Heard::Link { link, gone: true } = &one {
                held.remove(&(source.clone(), Subject::Fallen(link.index)));
            }
            held.insert((source.clone(), Subject::of(&one)), one);
        }
        drop(held);
        self.woken.notify_one();
    }

    /// Waits until something was heard.
    pub async fn wait(&self) {
        self.woken.notified().await;
    }

    /// Everything heard since the last time.
    pub fn take(&self) -> Vec<(Source, Heard)> {
        std::mem::take(&mut *self.heard.lock())
            .into_iter()
            .map(|((source, _), heard)| (source, heard))
            .collect()
    }
}

/// Puts what `socket` hears into the inbox, until it is aborted. An unusable socket is as good as a loss.
pub async fn listen(socket: EventSocket, inbox: Arc<Inbox>) {
    let source = socket.source().clone();
    let Ok(socket) = socket.into_async() else {
        return inbox.put(&source, vec![Heard::Lost]);
    };
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(mut ready) = socket.readable().await {
        let read = ready.try_io(|socket| Ok(socket.get_ref().heard(&mut buffer)?));
        match read {
            Ok(Ok(heard)) if heard.is_empty() => {}
            Ok(Ok(heard)) => inbox.put(&source, heard),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot hear the kernel's notifications any more");
                return inbox.put(&source, vec![Heard::Lost]);
            }
            Err(_would_block) => {}
        }
    }
}
