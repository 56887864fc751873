//! The cluster under a seeded schedule of faults: real daemons in namespaces, clients that note every call, and judges.
//! First a safety phase with faults; then none, and the cluster must serve again within its time; then all that was seen
//! is judged.
//!
//! `CHAOS_SEED=s CHAOS_SECONDS=n cargo test -p swarm-tests --test chaos -- --nocapture` plays one seed for so many
//! seconds of faults; without them, a short run with a fixed seed. Needs root.

mod caller;
mod cut_off;
mod faults;
mod kernel;
mod monitor;
mod plan;
mod recorder;
mod rest;
mod roles;
mod run;
mod work;

use std::str::FromStr;

/// The short run of `make test`.
const SEED: u64 = 1;
const SECONDS: usize = 20;

fn number<T: FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is not a number")))
}

#[test]
fn a_cluster_under_faults_keeps_its_promises() {
    let seed = number("CHAOS_SEED").unwrap_or(SEED);
    let seconds = number("CHAOS_SECONDS").unwrap_or(SECONDS);
    run::run(seed, seconds);
}
