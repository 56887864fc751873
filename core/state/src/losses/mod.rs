//! What losses the managers can bear, and which promotion would let them bear more: a judgement over who votes, who is
//! heard, and in which zone each stands. Must not know: how managers are heard, where the sentences are shown.

mod exchange;
mod places;
mod remedy;
mod words;

pub use exchange::Exchange;
pub use places::{Part, Place, Presence, ZONE_LABEL};
pub use remedy::Promotion;

use crate::State;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use exchange::exchange;
use places::{Group, Groups, order, place};
use remedy::remedy;
use swarm_model::Node;

/// More are allowed; each change waits for more of them, and few clusters need to bear the loss of four.
pub const MOST_MANAGERS: usize = 7;

/// The votes a decision needs among so many.
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// What was found. Names are host names; sentences come from [`Losses::warnings`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Losses {
    pub voters: usize,
    /// Those that can take part in a decision.
    pub heard: usize,
    /// Managers that are not heard.
    pub away: Vec<String>,
    /// Managers that are heard and cannot take part: their disks are full.
    pub full: Vec<String>,
    /// Managers of unknown zone, where others have one.
    pub unplaced: Vec<String>,
    /// Zones whose loss would lose the quorum as things are now.
    pub fatal: Vec<String>,
    /// Zones whose loss would lose the quorum though every manager were there, with the managers in each. Empty for a
    /// manager alone, and for two in two zones: there it is their number that says so.
    pub misplaced: Vec<(String, usize)>,
    /// The workers to promote so that nothing is misplaced any more and the number is a good one, if there are such.
    pub promotion: Option<Promotion>,
    /// Where no promotion alone mends the places: the workers to promote in place of managers.
    pub exchange: Option<Exchange>,
}

impl Losses {
    /// How many more managers may be lost, whichever they are, before nothing can be decided.
    pub fn survives(&self) -> usize {
        self.heard.saturating_sub(majority(self.voters))
    }

    pub fn has_quorum(&self) -> bool {
        self.heard >= majority(self.voters)
    }
}

impl State {
    /// `presence` is asked with Raft ids.
    pub fn losses(&self, presence: impl Fn(u64) -> Presence) -> Losses {
        let level = self.cluster().map_or(1, |cluster| cluster.feature_level);
        let mut named: BTreeMap<&str, usize> = BTreeMap::new();
        self.nodes().for_each(|node| *named.entry(&node.hostname).or_default() += 1);
        let alone = |node: &Node| named.get(node.hostname.as_str()) == Some(&1);
        let place = |node| place(node, (level, alone(node)), &presence);
        let places: Vec<Place<'_>> = self.nodes().filter_map(place).collect();
        judge(&places)
    }
}

pub fn judge(places: &[Place<'_>]) -> Losses {
    let mut places = places.to_vec();
    places.sort_by(|a, b| order(a.host, b.host));
    let all = Groups::of(&places);
    let voters: Vec<&Place<'_>> = places.iter().filter(|place| place.votes()).collect();
    let hosts = |wanted: &dyn Fn(&Place<'_>) -> bool| -> Vec<String> {
        voters.iter().filter(|place| wanted(place)).map(|place| place.host.into()).collect()
    };
    let those = |presence| hosts(&|place| place.part == Part::Voter { presence });
    let (away, full) = (those(Presence::Silent), those(Presence::Full));
    let heard = voters.len() - away.len() - full.len();
    let zoned = voters.iter().any(|place| place.zone.is_some());
    let misplaced = misplaced(&all, voters.len());
    let promotion = remedy(&all, voters.len(), !misplaced.is_empty());
    let mended = misplaced.is_empty() || promotion.as_ref().is_some_and(|promotion| promotion.mends_places);
    Losses {
        voters: voters.len(),
        heard,
        unplaced: if zoned { hosts(&|place| place.zone.is_none()) } else { Vec::new() },
        fatal: all
            .zones()
            .filter(|(_, size)| size.heard > 0 && heard - size.heard < majority(voters.len()))
            .map(|(zone, _)| zone.into())
            .collect(),
        exchange: if mended { None } else { exchange(&all, voters.len()) },
        promotion,
        misplaced,
        away,
        full,
    }
}

fn misplaced(groups: &Groups<'_>, voters: usize) -> Vec<(String, usize)> {
    let fatal =
        |size: usize| voters - size < majority(voters) && (voters > 2 || size == voters) && voters > 1;
    groups
        .zones()
        .filter(|(_, size)| fatal(size.voters()))
        .map(|(zone, size)| (zone.into(), size.voters()))
        .collect()
}

impl<'a> Groups<'a> {
    /// Those that are zones, not single managers of unknown zone.
    fn zones(&self) -> impl Iterator<Item = (&'a str, &places::Size<'a>)> {
        self.iter().filter_map(|(group, size)| match group {
            Group::Zone(zone) => Some((*zone, size)),
            Group::Alone(_) => None,
        })
    }
}
