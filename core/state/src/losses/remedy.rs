//! Which workers to promote. Knows counts of groups; must not know who is heard: a manager that is away is to come back,
//! not to be replaced.

use super::places::{Group, Groups, Size, order};
use super::{MOST_MANAGERS, majority};
use alloc::string::String;
use alloc::vec::Vec;

/// Workers whose promotion mends the number of managers, their places, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// Host name and zone, if zones count.
    pub workers: Vec<(String, Option<String>)>,
    /// After it no zone's loss loses the quorum (or there are no zones). Else it mends the number alone.
    pub mends_places: bool,
}

/// One group while it is filled: how many would vote there, and who else could.
struct Room<'a> {
    group: Group<'a>,
    voters: usize,
    candidates: Vec<&'a str>,
}

/// The fewest promotions that make a good number of managers of which no zone holds too many; an odd number, if there is
/// one. `None` where nothing is wrong, or nobody can be promoted.
pub fn remedy(groups: &Groups<'_>, voters: usize, misplaced: bool) -> Option<Promotion> {
    let uneven = voters > 1 && voters.is_multiple_of(2);
    if !(uneven || misplaced) || voters >= MOST_MANAGERS {
        return None;
    }
    let (odd, even): (Vec<usize>, Vec<usize>) =
        (1..=MOST_MANAGERS - voters).partition(|more| (voters + more) % 2 == 1);
    let numbers = odd.into_iter().chain(even.into_iter().filter(|_| misplaced));
    let placed = |more| promote(groups, more, (voters + more) - majority(voters + more));
    let found = numbers.into_iter().find_map(placed).map(|workers| Promotion { workers, mends_places: true });
    let any = || promote(groups, 1, voters + 1).map(|workers| Promotion { workers, mends_places: false });
    found.or_else(|| uneven.then(any).flatten())
}

/// So many more voters, in no group more than `most`; always where there are fewest.
fn promote<'a>(groups: &Groups<'a>, more: usize, most: usize) -> Option<Vec<(String, Option<String>)>> {
    let room = |(group, size): (&Group<'a>, &Size<'a>)| Room {
        group: *group,
        voters: size.voters(),
        // Taken from the end.
        candidates: size.candidates.iter().rev().copied().collect(),
    };
    let mut rooms: Vec<Room<'a>> = groups.iter().map(room).collect();
    if rooms.iter().any(|room| room.voters > most) {
        return None;
    }
    let mut chosen = Vec::with_capacity(more);
    while chosen.len() < more {
        let open = rooms.iter_mut().filter(|room| room.voters < most && !room.candidates.is_empty());
        let emptiest =
            open.min_by(|a, b| a.voters.cmp(&b.voters).then_with(|| order(a.group.name(), b.group.name())))?;
        emptiest.voters += 1;
        let host = emptiest.candidates.pop()?;
        let zone = match emptiest.group {
            Group::Zone(zone) => Some(zone.into()),
            Group::Alone(_) => None,
        };
        chosen.push((host.into(), zone));
    }
    chosen.sort_by(|(_, a), (_, b)| a.cmp(b));
    Some(chosen)
}
