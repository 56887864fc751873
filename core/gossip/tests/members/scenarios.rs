//! S95 to S100, and what health is worth. Must not know how a member decides.

use swarm_gossip::{Gossip, Settings, Verdict};

type World = crate::world::World<Gossip>;

/// How many seeds each scenario is tried with; a fortieth of what the world of managers gets, since these members are many.
pub fn seeds() -> impl Iterator<Item = u64> {
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
        world.list_all();
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

/// F14: who hears no datagram, as behind a firewall that lets only streams in, says on a stream that it is there.
#[test]
fn who_is_reached_by_streams_alone_is_not_declared_dead() {
    for seed in seeds() {
        for members in [2, 12] {
            let mut world = World::new(members, Settings::default(), seed);
            world.members[0].deaf = true;
            world.run_for(180_000);
            assert_eq!(world.false_deaths, 0, "seed {seed}, {members} members");
            world.members[0].deaf = false;
            converges(&mut world, 60_000, "and datagrams arrive again");
        }
    }
}
