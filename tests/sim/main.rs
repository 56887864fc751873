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
mod recovery;
mod replica;
mod roles;
mod settle;
mod streams;
mod watched;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;
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

/// Seeds one after the other, on every core; worlds share nothing. The first seed that fails, or what happened in all.
fn run_all(seeds: &std::ops::Range<u64>) -> Result<Tally, (u64, String)> {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let one_after_the_other = || {
        let mut tally = Tally::new();
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            match run(seed) {
                Ok(seen) => add(&mut tally, seen),
                Err(problem) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err((seed, problem));
                }
            }
        }
        Ok(tally)
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let outcomes = thread::scope(|scope| {
        let running: Vec<_> = (0..cores).map(|_| scope.spawn(one_after_the_other)).collect();
        let ended = running.into_iter().map(|one| one.join().expect("a world's panic is caught"));
        ended.collect::<Vec<_>>()
    });
    let mut tally = Tally::new();
    let mut failures = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(seen) => add(&mut tally, seen),
            Err(failure) => failures.push(failure),
        }
    }
    failures.into_iter().min().map_or(Ok(tally), Err)
}

fn add(tally: &mut Tally, seen: Tally) {
    seen.into_iter().for_each(|(what, count)| *tally.entry(what).or_default() += count);
}

#[test]
fn every_seed_settles_into_what_the_log_says() {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(200),
    };
    let begun = Instant::now();
    let tally = run_all(&seeds).unwrap_or_else(|(seed, problem)| {
        panic!("{problem}reproduce: SIM_SEED={seed} cargo test -p swarm-tests --test sim")
    });
    let count = seeds.count();
    println!("{count} seeds in {:.1?}: {tally:#?}", begun.elapsed());
    let missing = EXPECTED.into_iter().find(|what| !tally.contains_key(*what));
    assert!(count < 50 || missing.is_none(), "over all seeds this never happened: {missing:?}");
}
