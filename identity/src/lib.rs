//! Who a peer is: the cluster's CA, join tokens, certificates on disk, TLS on both sides, the one dialler.
//!
//! Knows: keys, certificates, tokens, TLS, TCP connections and how many of them are allowed.
//! Must not know: Raft, the kernel, what a peer may do (that is the manager's permission table).
//!
//! A node's identity is its certificate: CN = node id, OU = role, O = cluster id. An address is none of it. A user's has
//! an OU of its own, and is of no use to a server.
//! TLS is 1.3 only and never resumed: a resumed session would carry a verdict on a certificate past the
//! certificate's renewal or the CA's replacement.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod base36;
mod credentials;
mod dial;
mod disk;
mod issue;
mod key;
mod listen;
pub mod lock;
mod node;
mod peer;
mod proof;
pub mod random;
mod renewal;
mod tls;
mod token;
mod user;

pub use credentials::{Credentials, CredentialsError};
pub use dial::{
    Address, AddressError, CONNECT_DEADLINE, DialError, DialErrorKind, Dialler, EXPIRED_THERE, admission,
    probe,
};
pub use disk::{KeyCover, StoreError};
pub use issue::{CaError, RootCa, Subject, UserSubject, Validity, tied_to_key};
pub use key::{KeyError, NodeKey, new_key_and_csr};
pub use listen::{
    Cap, Conn, ConnectedPeer, Connections, Limits, ListenError, Listener, MOST_BROKEN_STREAMS,
    MOST_HEADER_BYTES, MOST_RESETS, MOST_STREAMS, OpenCounts, Pace, Patience, STRANGER_BYTES,
    STRANGER_STREAMS, ServeError, Served, local_server, pause_after, serve,
};
pub use lock::{UnlockKey, UnlockKeyError};
pub use node::{IdentityError, NodeIdentity};
pub use peer::{Holder, Peer, PeerError, UserPeer};
pub use proof::{ProofError, prover};
pub use renewal::renew_at;
pub use token::{CaDigest, JoinToken, PartFault, TokenError, digests_equal, secret_digest, secrets_equal};
pub use user::{UserIdentity, UserIdentityError};

/// The name every manager's certificate carries, and no worker's.
pub const MANAGER_NAME: &str = "manager.swarm";

/// The name of one node's certificate.
pub fn node_name(node: swarm_model::NodeId) -> String {
    format!("{node}.node.swarm")
}
