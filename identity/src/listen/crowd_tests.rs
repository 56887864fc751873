//! Who goes when a newer one comes.

use super::{Cap, Crowd, Place};
use proptest::prelude::*;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

fn host(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn gone(places: &[Place]) -> Vec<usize> {
    let taken = places.iter().enumerate().filter(|(_, place)| place.taken.is_cancelled());
    taken.map(|(at, _)| at).collect()
}

fn from(crowd: &Arc<Crowd>, hosts: &[u8]) -> Vec<Place> {
    hosts.iter().map(|number| crowd.enter(host(*number))).collect()
}

#[test]
fn the_oldest_of_an_address_goes_first_when_that_has_enough() {
    let crowd = Crowd::new(Cap { total: 9, per_address: 2 });
    let places = from(&crowd, &[1, 2, 1, 1, 1]);
    assert_eq!(gone(&places), [0, 2]);
    assert_eq!(crowd.count(), 3);
}

#[test]
fn many_addresses_do_not_push_out_one_that_has_few_places() {
    let crowd = Crowd::new(Cap { total: 8, per_address: 4 });
    let honest = crowd.enter(host(9));
    let flood = from(&crowd, &[1, 2, 3].repeat(20));
    assert!(!honest.taken.is_cancelled());
    assert_eq!((crowd.count(), flood.len() - gone(&flood).len()), (8, 7));
    drop((flood, honest));
    assert_eq!(crowd.count(), 0);
}

proptest! {
    #[test]
    fn never_more_than_the_caps_and_nothing_is_left_behind(
        came in prop::collection::vec((0u8..12, any::<bool>()), 0..200), total in 1usize..9, per_address in 1usize..5,
    ) {
        let crowd = Crowd::new(Cap { total, per_address });
        let mut places = Vec::new();
        for (number, leaves) in came {
            if leaves && !places.is_empty() {
                drop(places.swap_remove(usize::from(number) % places.len()));
            }
            let place = crowd.enter(host(number));
            prop_assert!(!place.taken.is_cancelled());
            places.push(place);
            let mut held: HashMap<IpAddr, usize> = HashMap::new();
            for place in places.iter().filter(|place| !place.taken.is_cancelled()) {
                *held.entry(place.address).or_default() += 1;
            }
            prop_assert_eq!(held.values().sum::<usize>(), crowd.count());
            prop_assert!(crowd.count() <= total && held.values().all(|held| *held <= per_address));
        }
        drop(places);
        prop_assert!(crowd.inside.lock().by_address.is_empty());
    }
}
