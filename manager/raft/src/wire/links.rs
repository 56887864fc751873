//! All connections of one manager to the others, by peer and purpose.
//!
//! Knows: which links exist, and where each member is found now. Must not know: what is sent over a link.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::link::Link;
use crate::api::{Dial, Member};
use crate::types::StoredMembership;

/// Links of members long gone are dropped beyond this many.
const LINKS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    Entries,
    /// Heartbeats, votes, hand-overs: small messages that must never wait behind large ones.
    Control,
    Snapshots,
}

type Open = HashMap<(u64, Purpose), Arc<Link>>;

/// Cheap to clone; all clones are the same links.
#[derive(Clone)]
pub struct Links {
    dial: Arc<dyn Dial>,
    open: Arc<Mutex<Open>>,
}

impl Links {
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial, open: Arc::default() }
    }

    pub fn link(&self, target: u64, member: &Member, purpose: Purpose) -> Arc<Link> {
        let mut open = self.open.lock();
        if open.len() > LINKS {
            open.retain(|_, link| Arc::strong_count(link) > 1);
        }
        let fresh = || Arc::new(Link::new(member.clone(), self.dial.clone()));
        let link = open.entry((target, purpose)).or_insert_with(fresh).clone();
        link.lead_to(member);
        link
    }

    /// openraft goes on using what it was given for a member when the member's address changes, so the links follow.
    pub fn follow(&self, membership: &StoredMembership) {
        for ((target, _), link) in self.open.lock().iter() {
            if let Some(member) = membership.get_node(target) {
                link.lead_to(member);
            }
        }
    }
}
