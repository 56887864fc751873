//! What health is worth: members that get hardly any processor, beside plain SWIM in the same world.

use crate::scenarios::seeds;
use swarm_gossip::{Gossip, Settings};

type World = crate::world::World<Gossip>;

/// For so long ten of a hundred get some milliseconds of processor every few seconds.
const LASTS_MS: u64 = 300_000;
const RUNS_MS: u64 = 20;
const WAITS_MS: u64 = 12_000;

fn false_deaths(settings: &Settings, seed: u64) -> u64 {
    let mut world = World::new(100, settings.clone(), seed);
    world.run_for(2_000);
    (0..10).for_each(|member| world.members[member].starves = true);
    let mut wakes = [0; 10];
    while world.now < LASTS_MS {
        for (member, wakes) in wakes.iter_mut().enumerate() {
            if world.now >= *wakes {
                let until = world.now + world.below(WAITS_MS);
                world.members[member].starved_until = until;
                *wakes = until + 1 + world.below(RUNS_MS);
            }
        }
        world.run_for(1);
    }
    world.false_deaths
}

/// Whoever was starved finds its timers due before it has read what others have sent meanwhile.
#[test]
fn a_tenth_that_starves_kills_no_healthy_one() {
    let plain = Settings { most_awareness: 0, exchange_ms: 0, ..Settings::default() };
    let sums =
        seeds().take(5).map(|seed| (false_deaths(&Settings::default(), seed), false_deaths(&plain, seed)));
    let (with, without) = sums.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    println!("false deaths, 10 of 100 starved: {with} with local health, {without} by plain SWIM");
    assert!(without > 0, "plain SWIM is not tried hard enough to be compared with");
    assert!(with * 50 <= without, "{with} against {without}");
}
