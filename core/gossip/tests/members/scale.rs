//! Many members: what they cost at rest, how soon they know each other, and how soon all know who died, beside memberlist's
//! rules in the same world. A debug build has few, a release build a thousand and ten thousand.

use crate::machine::Machine;
use crate::memberlist::Memberlist;
use crate::world::World;
use swarm_gossip::{Gossip, Settings};

/// Of what memberlist needs.
const AT_MOST: f64 = 1.1;

/// `GOSSIP_MEMBERS=1000,10000`, or as the build bears.
fn sizes(small: &[usize], large: &[usize]) -> Vec<usize> {
    let asked = std::env::var("GOSSIP_MEMBERS").ok();
    let asked = asked.map(|text| text.split(',').filter_map(|number| number.parse().ok()).collect());
    asked.unwrap_or_else(|| if cfg!(debug_assertions) { small } else { large }.to_vec())
}

/// At most 200 bytes per second and member, however many there are.
#[test]
fn rest_is_quiet() {
    for members in sizes(&[3, 50, 200], &[3, 50, 1000]) {
        let mut world: World<Gossip> = World::new(members, Settings::default(), 1);
        world.run_for(60_000);
        let (before, begun) = ((world.packets, world.bytes), world.now);
        world.run_for(120_000);
        let seconds = (world.now - begun) as f64 / 1000.0;
        let per_member = |sum: u64| sum as f64 / seconds / members as f64;
        let (packets, bytes) = (per_member(world.packets - before.0), per_member(world.bytes - before.1));
        println!("{members} members at rest: {packets:.2} packets/s, {bytes:.0} B/s each");
        assert!(bytes <= 200.0, "{members}: {bytes} B/s");
    }
}

/// All begin within five seconds, and the managers list each as it comes. Everybody has heard of everybody within seconds,
/// not when it has probed or was probed by all of them, which takes minutes.
#[test]
fn joins_settle_in_seconds() {
    for members in sizes(&[100], &[1000]) {
        let mut world: World<Gossip> = World::empty(Settings::default(), 1);
        let (steps, begin_ms) = (20, 5_000);
        for step in 0..steps {
            (members * step / steps..members * (step + 1) / steps).for_each(|_| world.add());
            world.list_all();
            (0..world.members.len()).for_each(|member| world.give_roster(member));
            world.run_for(begin_ms / steps as u64);
        }
        let settled = |world: &World<Gossip>| world.members.iter().all(|member| member.met + 1 == members);
        let before = world.bytes;
        let took = world.run_until(120_000, settled);
        let took = took.unwrap_or_else(|| panic!("{members} members do not know each other"));
        let each = (world.bytes - before) as usize / members;
        println!("{members} members that join within 5 s: all know all {took} ms later; {each} bytes each");
        assert!(took <= 30_000, "{members}: {took} ms");
        assert_eq!(world.false_deaths, 0);
    }
}

struct Cost {
    ms: u64,
    packets: u64,
    bytes: u64,
}

fn deaths<M: Machine>(members: usize) -> Cost {
    let mut world: World<M> = World::new(members, Settings::default(), 1);
    // Past what a beginning costs.
    world.run_for(if members > 1000 { 12_000 } else { 40_000 });
    let before = (world.packets, world.bytes);
    (0..members.div_ceil(100)).for_each(|member| world.kill(member));
    let ms = world.run_until(180_000, World::agrees).expect("all know");
    assert_eq!(world.false_deaths, 0);
    Cost { ms, packets: world.packets - before.0, bytes: world.bytes - before.1 }
}

/// One in a hundred die at once.
#[test]
fn all_learn_of_deaths_as_soon_as_by_memberlists_rules() {
    for members in sizes(&[100], &[1000, 10_000]) {
        let (ours, theirs) = (deaths::<Gossip>(members), deaths::<Memberlist>(members));
        println!(
            "{members} members, 1 % die: all know after {} ms, {} packets, {} bytes; by memberlist's rules after {} ms, {} packets",
            ours.ms, ours.packets, ours.bytes, theirs.ms, theirs.packets
        );
        assert!(
            ours.ms as f64 <= theirs.ms as f64 * AT_MOST,
            "{members}: {} ms, theirs {}",
            ours.ms,
            theirs.ms
        );
        let packets = ours.packets as f64 / ours.ms as f64 / (theirs.packets as f64 / theirs.ms as f64);
        assert!(
            ours.packets as f64 <= theirs.packets as f64 * AT_MOST,
            "{members}: packets, {packets:.2} a second"
        );
    }
}

/// Loss, members that hardly run, clocks that jump an hour ahead, and a tenth cut off for two minutes; then none of it, and all agree.
#[test]
fn a_bad_day_ends_with_everybody_of_one_mind() {
    for members in sizes(&[60], &[1000]) {
        let mut world: World<Gossip> = World::new(members, Settings::default(), 1);
        world.run_for(10_000);
        let tenth = members / 10;
        (0..tenth).for_each(|member| world.members[member].island = 1);
        (tenth..tenth + members.div_ceil(100)).for_each(|member| world.members[member].starves = true);
        (2 * tenth..3 * tenth).for_each(|member| world.members[member].clock_ahead = 3_600_000);
        world.lost = 50;
        let over = world.now + 120_000;
        while world.now < over {
            for member in (0..members).filter(|member| *member >= tenth && *member < 2 * tenth) {
                if world.members[member].starves && world.members[member].starved_until < world.now {
                    world.members[member].starved_until = world.now + 1_000 + world.below(4_000);
                }
            }
            world.run_for(500);
        }
        let false_deaths = world.false_deaths;
        assert_eq!(false_deaths, 0, "{members}: of members that could be reached");
        world.lost = 0;
        world.members.iter_mut().for_each(|member| member.island = 0);
        let took = world.run_until(300_000, World::agrees);
        println!("{members} members after a bad day: of one mind {took:?} ms later");
        assert!(took.is_some(), "{members} members do not agree");
    }
}
