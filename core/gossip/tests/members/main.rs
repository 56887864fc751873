//! Scenarios of members among themselves, each of many seeds: `SIM_SEEDS=1000`. A seed that fails is printed. In a release
//! build also of a thousand and of ten thousand members.

mod machine;
mod memberlist;
mod scale;
mod scenarios;
mod starving;
mod streams;
mod world;
