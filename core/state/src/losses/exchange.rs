//! Which workers to promote in place of which managers, where promotions alone do not mend the places.
//! Knows counts of groups; must not know who leads, or who is heard.

use super::places::{Group, Groups, Size, order};
use super::{MOST_MANAGERS, majority};
use alloc::string::String;
use alloc::vec::Vec;

/// First the workers are promoted, then the managers demoted: in between there are more managers, not fewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub promote: Vec<String>,
    pub demote: Vec<String>,
}

/// One group while it is filled: the managers that stay.
struct Room<'a, 'b> {
    group: &'b Group<'a>,
    size: &'b Size<'a>,
    stay: usize,
    come: usize,
}

/// An odd number of managers of which no group holds too many: as many as there are if that can be, else more, else fewer.
/// `None`: there is no such choice.
pub fn exchange(groups: &Groups<'_>, voters: usize) -> Option<Exchange> {
    let odd = |number: &usize| number % 2 == 1;
    let more = (voters..=MOST_MANAGERS).filter(odd);
    let fewer = (3..voters.min(MOST_MANAGERS + 1)).rev().filter(odd);
    more.chain(fewer).filter(|target| *target >= 3).find_map(|target| filled(groups, target))
}

fn filled(groups: &Groups<'_>, target: usize) -> Option<Exchange> {
    let most = target - majority(target);
    let room = |(group, size)| Room { group, size, stay: Size::voters(size).min(most), come: 0 };
    let mut rooms: Vec<Room<'_, '_>> = groups.iter().map(room).collect();
    let mut count: usize = rooms.iter().map(|room| room.stay).sum();
    while count > target {
        let fullest = rooms
            .iter_mut()
            .max_by(|a, b| a.stay.cmp(&b.stay).then_with(|| order(b.group.name(), a.group.name())))?;
        fullest.stay -= 1;
        count -= 1;
    }
    while count < target {
        let open = rooms
            .iter_mut()
            .filter(|room| room.stay + room.come < most && room.come < room.size.candidates.len());
        let emptiest = open.min_by(|a, b| {
            (a.stay + a.come).cmp(&(b.stay + b.come)).then_with(|| order(a.group.name(), b.group.name()))
        })?;
        emptiest.come += 1;
        count += 1;
    }
    let named = |hosts: &[&str]| hosts.iter().map(|host| String::from(*host)).collect::<Vec<_>>();
    let promote =
        rooms.iter().flat_map(|room| named(room.size.candidates.get(..room.come).unwrap_or_default()));
    let demote = rooms.iter().flat_map(|room| named(room.size.managers.get(room.stay..).unwrap_or_default()));
    Some(Exchange { promote: promote.collect(), demote: demote.collect() })
}
