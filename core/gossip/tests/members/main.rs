//! Scenarios of members among themselves, each of many seeds: `SIM_SEEDS=1000`. A seed that fails is printed.

mod scenarios;
mod world;
