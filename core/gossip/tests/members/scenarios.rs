//! S95 to S100, and what health is worth. Must not know how a member decides.

use crate::world::World;
use swarm_gossip::{Settings, Verdict};

/// How many seeds each scenario is tried with; a fortieth of what the world of managers gets, since these members are many.
fn seeds() -> impl Iterator<Item = u64> {
    let asked = std::env::var("SIM_SEEDS").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(50);
    1..=(asked / 40).max(3)
}

fn converges(world: &mut World, most_ms: u64, what: &str) {
    let seed = world.seed;
    assert!(world.run_until(most_ms, World::agrees).is_some(), "seed {seed}: {what}");
}

/// S95: members join, leave and die under reordering, duplication and 10 % loss.
#[test]
fn views_converge_on_a_bad_network() {
    for seed in seeds() {
        let mut world = World::new(20, Settings::default(), seed);
        (world.lost, world.doubled) = (100, 100);
        world.run_for(3_000);
        let dead = world.below(20) as usize;
        world.kill(dead);
        world.add();
        (0..21).filter(|m| *m != dead).for_each(|member| world.give_roster(member));
        world.run_for(4_000);
        world.kill((dead + 7) % 20);
        world.run_for(60_000);
        converges(&mut world, 60_000, "after two deaths and a join");
        world.restart(dead);
        converges(&mut world, 60_000, "after one came back");
    }
}

/// F14: no false deaths at 10 % loss.
#[test]
fn loss_kills_nobody() {
    for seed in seeds() {
        let mut world = World::new(30, Settings::default(), seed);
        world.lost = 100;
        world.run_for(120_000);
        assert_eq!(world.false_deaths, 0, "seed {seed}");
    }
}

/// S96: islands, healed without a restart. Also of one member alone.
#[test]
fn islands_find_each_other_again() {
    for seed in seeds() {
        for on_island in [1, 10] {
            let mut world = World::new(20, Settings::default(), seed);
            world.run_for(5_000);
            (0..on_island).for_each(|member| world.members[member].island = 1);
            // Who hears nobody at all takes itself for slow first.
            converges(&mut world, 600_000, "two islands");
            (0..on_island).for_each(|member| world.members[member].island = 0);
            converges(&mut world, 60_000, "one again");
        }
    }
}

/// S97, S98, S99: one dies and returns, under a new life; whatever of the old one is still on its way counts for nothing.
#[test]
fn the_last_life_counts() {
    for seed in seeds() {
        let mut world = World::new(12, Settings::default(), seed);
        world.run_for(5_000);
        world.kept = Some(Vec::new());
        world.kill(3);
        converges(&mut world, 60_000, "one is dead");
        world.restart(3);
        converges(&mut world, 60_000, "it is back");
        // At once again, before anybody has noticed.
        world.restart(3);
        world.run_for(2_000);
        let of_death = world.kept.take().unwrap();
        of_death.into_iter().rev().take(2_000).for_each(|packet| world.replay(packet));
        converges(&mut world, 60_000, "news of its deaths came late");
        assert_eq!(world.verdict(0, 3), Verdict::Alive, "seed {seed}");
    }
}

/// What managers wait for: two that found it themselves, whatever they heard.
#[test]
fn two_miss_a_dead_one_by_their_own_probes() {
    for (members, most_ms) in [(3, 5_000), (50, 8_000)] {
        for seed in seeds() {
            let mut world = World::new(members, Settings::default(), seed);
            world.run_for(5_000);
            world.kill(1);
            let took = world.run_until(most_ms, |world| world.members[1].missed_by.len() >= 2);
            println!("{members} members: two missed the dead one after {took:?} ms");
            assert!(took.is_some(), "seed {seed}");
            assert!(world.members.iter().enumerate().all(|(m, of)| m == 1 || of.missed_by.is_empty()));
        }
    }
}

/// S100: packets of old, which nobody has opened before, as after a restart of who takes them.
#[test]
fn old_packets_neither_kill_nor_raise() {
    for seed in seeds() {
        let mut world = World::new(10, Settings::default(), seed);
        world.kept = Some(Vec::new());
        world.run_for(20_000);
        let old = world.kept.take().unwrap();
        world.kill(4);
        converges(&mut world, 60_000, "one is dead");
        let before = world.false_deaths;
        old.iter().cloned().for_each(|packet| world.replay(packet));
        world.run_for(100);
        assert!(
            (0..10).filter(|m| *m != 4).all(|m| world.verdict(m, 4) == Verdict::Down),
            "seed {seed}: raised"
        );
        world.run_for(30_000);
        assert_eq!(world.false_deaths, before, "seed {seed}: killed");
        converges(&mut world, 1_000, "as before");
    }
}

/// F19: who gets no processor does not make others look dead; nor does a clock that jumps.
#[test]
fn a_starved_member_of_ten_accuses_nobody() {
    for seed in seeds() {
        let mut world = World::new(10, Settings::default(), seed);
        for _ in 0..40 {
            let until = world.now + 500 + world.below(4_000);
            world.members[0].starved_until = until;
            let pause = until - world.now + 1 + world.below(300);
            world.run_for(pause);
        }
        world.members[1].clock_ahead = 3_600_000;
        world.run_for(30_000);
        world.members[1].clock_ahead = 0;
        world.run_for(30_000);
        assert_eq!(world.false_deaths, 0, "seed {seed}");
        converges(&mut world, 30_000, "and all are well");
    }
}

/// Ten of a hundred get a tenth of a second of processor every few seconds, for five minutes.
fn false_deaths(settings: &Settings, seed: u64) -> u64 {
    let mut world = World::new(100, settings.clone(), seed);
    world.run_for(2_000);
    (0..10).for_each(|member| world.members[member].starves = true);
    let mut wakes = [0; 10];
    while world.now < 300_000 {
        for (member, wakes) in wakes.iter_mut().enumerate() {
            if world.now >= *wakes {
                let until = world.now + 100 + world.below(12_000);
                world.members[member].starved_until = until;
                *wakes = until + 100;
            }
        }
        world.run_for(50);
    }
    world.false_deaths
}

/// Plain SWIM is run beside it to be compared with. In this world it kills nobody either: who was starved reads what has
/// arrived in the order in which it came, before and after its timers.
#[test]
fn a_tenth_that_starves_kills_no_healthy_one() {
    let plain = Settings { most_awareness: 0, ..Settings::default() };
    let sums =
        seeds().take(5).map(|seed| (false_deaths(&Settings::default(), seed), false_deaths(&plain, seed)));
    let (with, without) = sums.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    println!("false deaths, 10 of 100 starved: {with} with local health, {without} by plain SWIM");
    assert_eq!(with, 0);
}

/// At most 200 bytes per second and member, however many there are.
#[test]
fn rest_is_quiet() {
    for members in [3, 50, 200] {
        let mut world = World::new(members, Settings::default(), 1);
        world.run_for(30_000);
        let before = (world.packets, world.bytes);
        world.run_for(30_000);
        let per_member = |sum: u64| sum as f64 / 30.0 / members as f64;
        let (packets, bytes) = (per_member(world.packets - before.0), per_member(world.bytes - before.1));
        println!("{members} members at rest: {packets:.2} packets/s, {bytes:.0} B/s each");
        assert!(bytes <= 200.0, "{members}: {bytes} B/s");
    }
}

/// One in a hundred die at once. As `GOSSIP_MEMBERS=1000`, in a release build, for the figure.
#[test]
fn all_learn_of_deaths() {
    let members =
        std::env::var("GOSSIP_MEMBERS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_usize);
    let mut world = World::new(members, Settings::default(), 1);
    world.run_for(10_000);
    let before = (world.packets, world.bytes);
    (0..members.div_ceil(100)).for_each(|member| world.kill(member));
    let took = world.run_until(120_000, World::agrees).expect("all know");
    let (packets, bytes) = (world.packets - before.0, world.bytes - before.1);
    println!("{members} members, 1 % die: all know after {took} ms; {packets} packets, {bytes} bytes in all");
    assert_eq!(world.false_deaths, 0);
}
