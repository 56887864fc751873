//! Where managers stand, and those who could become managers. Knows zones as labels; must not know what follows from them.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Iter;
use alloc::vec::Vec;
use core::cmp::Ordering;
use swarm_model::{Node, NodeState, Role};

/// The node label that says in which zone a node stands: what may be lost together.
pub const ZONE_LABEL: &str = "zone";

/// What is known of a manager at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Heard,
    /// It answers, and takes no changes: its disk is full.
    Full,
    Silent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Voter {
        presence: Presence,
    },
    /// A worker that is ready to be promoted.
    Candidate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Its name, or the id of one to promote whose name would not say who is meant.
    pub host: &'a str,
    pub zone: Option<&'a str>,
    pub part: Part,
}

impl Place<'_> {
    pub fn votes(&self) -> bool {
        matches!(self.part, Part::Voter { .. })
    }
}

/// `None` for nodes that neither vote nor could: those that are down, on their way, or too old. `alone`: no other node, not
/// even one that has left, has its name.
pub fn place<'a>(
    node: &'a Node,
    (level, alone): (u32, bool),
    presence: &impl Fn(u64) -> Presence,
) -> Option<Place<'a>> {
    let able = node.status.state == NodeState::Ready && node.features.max(1) >= level;
    let part = match &node.manager {
        Some(manager) if node.votes() => Part::Voter { presence: presence(manager.raft_id) },
        None if node.role == Role::Worker && able => Part::Candidate,
        _ => return None,
    };
    let zone = node.labels.get(ZONE_LABEL).filter(|zone| !zone.is_empty());
    let host = if alone || part != Part::Candidate { &node.hostname } else { node.id.as_str() };
    Some(Place { host, zone: zone.map(|zone| zone.as_str()), part })
}

/// n2 before n10.
pub fn order(one: &str, other: &str) -> Ordering {
    (one.len(), one).cmp(&(other.len(), other))
}

/// What is lost together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group<'a> {
    Zone(&'a str),
    /// A host of unknown zone.
    Alone(&'a str),
}

impl<'a> Group<'a> {
    pub fn name(self) -> &'a str {
        match self {
            Self::Zone(name) | Self::Alone(name) => name,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Size<'a> {
    pub managers: Vec<&'a str>,
    pub heard: usize,
    pub candidates: Vec<&'a str>,
}

impl Size<'_> {
    pub fn voters(&self) -> usize {
        self.managers.len()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups<'a>(BTreeMap<Group<'a>, Size<'a>>);

impl<'a> Groups<'a> {
    /// Candidates of unknown zone are left out where managers have zones: what they would mend is not known.
    pub fn of(places: &[Place<'a>]) -> Self {
        let zoned = places.iter().any(|place| place.votes() && place.zone.is_some());
        let mut groups = Self::default();
        for place in places {
            let group = match place.zone.filter(|_| zoned) {
                Some(zone) => Group::Zone(zone),
                None if zoned && !place.votes() => continue,
                None => Group::Alone(place.host),
            };
            let size = groups.0.entry(group).or_default();
            match place.part {
                Part::Voter { presence } => {
                    size.managers.push(place.host);
                    size.heard += usize::from(presence == Presence::Heard);
                }
                Part::Candidate => size.candidates.push(place.host),
            }
        }
        groups
    }

    pub fn iter(&self) -> Iter<'_, Group<'a>, Size<'a>> {
        self.0.iter()
    }
}
