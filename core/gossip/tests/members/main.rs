//! Scenarios of members among themselves, each of many seeds: `SIM_SEEDS=1000`. A seed that fails is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod scenarios;
mod world;
