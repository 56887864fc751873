//! What a host's IPsec should look like for its encrypted networks, as values: which security associations and policies,
//! and when what is sent moves from one key to the next.
//!
//! Knows: names of keys, the order in which both ends change. Must not know: key bytes, netlink, clocks: the time is handed
//! in, and so is the one function that makes a key out of its name.
//!
//! Two nodes never agree on a moment to change. Each takes in whatever the other may send (every generation it holds, for
//! the incarnations it knows of), and changes what it sends only when a probe has come back through the new key. What it
//! took in before stays until nothing has come that way for a while.

mod guard;
mod name;
mod peer;
mod plan;
mod sa;
mod wanted;

pub use guard::{GUARD_TABLE, Guard};
pub use name::{End, Spi, Tunnel};
pub use peer::{PeerState, WantedPeer};
pub use plan::{LINGER_MS, Memory, PROBE_MS, QUIET_MS, Turn, Wanted, plan};
pub use sa::{Limits, Mark, Observed, Policy, Purpose, SaId, Seen, Step};
