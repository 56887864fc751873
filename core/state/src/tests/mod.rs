//! Tests of the whole state machine: properties over any sequence of commands, and the rules one by one.

extern crate std;

mod access;
mod bounds;
mod build;
mod ca;
mod endpoints;
mod losses;
mod networks;
mod nodes;
mod pairs;
mod properties;
mod ring;
mod roles;
mod script;
