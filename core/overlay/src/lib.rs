//! What one host should look like: bridges, VXLAN devices, ports, entries and the check on each port, as
//! values.
//!
//! Knows: how an assignment becomes kernel objects, and the steps from what is to what should be.
//! Must not know: netlink, files, clocks. It is `no_std`, so they cannot compile here.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]
#![no_std]

extern crate alloc;

mod desired;
mod diff;
pub mod esp;
pub mod gateway;
mod judge;
mod model;
pub mod mtu;
mod names;
mod op;
pub mod rules;
mod segment;

pub use desired::{Desired, HostFacts, LocalSandbox, out_of_reach};
pub use diff::{Observed, delta, diff, diff_segment};
pub use judge::{Event, contradicts};
pub use names::{
    BRIDGE, GATEWAY_BRIDGE, GATEWAY_IFNAME, GATEWAY_PORT_PREFIX, NetnsPath, OverlayNs, PortName,
    ROUTE_METRIC, ROUTE_PROTOCOL, Scope, TABLE, VXLAN, sandbox_file_name,
};
pub use op::{Act, Op};
pub use rules::{Rules, RulesDigest, WayOut};
pub use segment::{Allowed, Bridge, FdbEntry, Inside, Port, PortLink, Route, Segment, Vxlan};

pub mod dns;
