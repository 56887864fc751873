//! The simulated world: replicas of the state behind one ordered log, managers that come, go, lag, are cut off and lost,
//! sessions that lose, repeat and break, workers on a model kernel, clocks that jump. One synchronous loop per seed, so that a seed always tells the same story.
//!
//! `SIM_SEEDS=n` runs seeds 0 to n-1 (default 200), `SIM_SEED=s` that one, with what led to its failure.

mod actions;
mod calls;
mod faults;
mod found;
mod kernel;
mod ledger;
mod log;
mod managers;
mod raft;
mod replica;
mod settle;
mod streams;
mod watched;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use swarm_tests::rng;
use world::World;

/// Steps with faults before the world is left to settle.
const STEPS: usize = 1_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is not a number")))
}

/// What must have happened over many seeds: a world in which nothing happens proves nothing.
const EXPECTED: [&str; 19] = [
    "CreateEndpoints done",
    "CreateEndpoints refused as AlreadyExists",
    "CreateEndpoints refused as Denied",
    "CreateEndpoints refused as Exhausted",
    "CreateEndpoints refused as NotFound",
    "LeaveNode done",
    "ReleaseEndpoints done",
    "RemoveNetwork refused as Precondition",
    "RemoveNode done",
    "ReplaceManagers done",
    "SetFeatureLevel done",
    "UpdateNode done",
    "cast out",
    "gap found",
    "leadership handed over",
    "manager ended",
    "member let go",
    "snapshot installed",
    "voter made",
];

type Tally = BTreeMap<String, u64>;

/// `Err` says what did not hold.
fn run(seed: u64) -> Result<Tally, String> {
    let mut world = World::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        world.found()?;
        (0..STEPS).try_for_each(|_| world.act())?;
        world.settle()
    }));
    let problem = match outcome {
        Ok(Ok(())) => return Ok(world.tally),
        Ok(Err(problem)) => problem,
        Err(panic) => match panic.downcast_ref::<String>() {
            Some(text) => format!("panicked: {text}"),
            None => "panicked (see above)".to_owned(),
        },
    };
    Err(format!("{}\nseed {seed}: {problem}\n", world.story()))
}

#[test]
fn every_seed_settles_into_what_the_log_says() {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(200),
    };
    let mut tally = Tally::new();
    for seed in seeds.clone() {
        match run(seed) {
            Ok(seen) => seen.into_iter().for_each(|(what, count)| *tally.entry(what).or_default() += count),
            Err(problem) => {
                panic!("{problem}reproduce: SIM_SEED={seed} cargo test -p swarm-tests --test sim")
            }
        }
    }
    println!("{} seeds: {tally:#?}", seeds.clone().count());
    let missing = EXPECTED.into_iter().find(|what| !tally.contains_key(*what));
    assert!(seeds.count() < 50 || missing.is_none(), "over all seeds this never happened: {missing:?}");
}
