//! Nobody above the cap, and every place is given back.

use super::{Cap, Gate, Pass};
use proptest::prelude::*;
use std::collections::HashMap;
use std::net::IpAddr;

#[derive(Debug, Clone)]
enum Step {
    Enter(u8),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![(0u8..4).prop_map(Step::Enter), (0usize..16).prop_map(Step::Leave)]
}

proptest! {
    #[test]
    fn caps_hold_after_any_sequence(steps in prop::collection::vec(step(), 0..200)) {
        let gate = Gate::new(Cap { total: 6, per_address: 3 });
        let mut inside: Vec<(u8, Pass)> = Vec::new();
        for step in steps {
            match step {
                Step::Enter(host) => {
                    let here = inside.iter().filter(|(h, _)| *h == host).count();
                    let room = inside.len() < 6 && here < 3;
                    let pass = gate.enter(IpAddr::from([10, 0, 0, host]));
                    prop_assert_eq!(pass.is_some(), room);
                    inside.extend(pass.map(|pass| (host, pass)));
                }
                Step::Leave(at) if at < inside.len() => drop(inside.swap_remove(at)),
                Step::Leave(_) => {}
            }
            prop_assert_eq!(gate.count(), inside.len());
        }
        inside.clear();
        prop_assert_eq!(&gate.inside.lock().by_address, &HashMap::new());
    }
}

#[test]
fn one_ipv6_host_is_a_whole_64() {
    let gate = Gate::new(Cap { total: 9, per_address: 1 });
    let enter = |ip: &str| gate.enter(ip.parse().expect("an address"));
    let _first = enter("2001:db8:0:1::1").expect("room");
    assert!(enter("2001:db8:0:1:ffff::2").is_none());
    assert!(enter("2001:db8:0:2::1").is_some());
}

#[test]
fn a_mapped_address_is_its_ipv4_address() {
    let gate = Gate::new(Cap { total: 9, per_address: 1 });
    let enter = |ip: &str| gate.enter(ip.parse().expect("an address"));
    let _first = enter("::ffff:10.0.0.1").expect("room");
    assert!(enter("10.0.0.1").is_none());
    assert!(enter("::ffff:10.0.0.2").is_some());
}
