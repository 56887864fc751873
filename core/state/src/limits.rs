//! The bounds of the replicated state, as contract.md documents them. Knows numbers only.

/// Nodes of one cluster, those that left included.
pub const MAX_NODES: usize = 10_000;
/// Networks of one cluster.
pub const MAX_NETWORKS: usize = 10_000;
/// Endpoints of one cluster.
pub const MAX_ENDPOINTS: usize = 100_000;
/// Endpoints of one network on one host: a Linux bridge has 1,024 ports.
pub const MAX_ENDPOINTS_PER_HOST: usize = 1_000;
/// Join tokens on record, ended ones included.
pub const MAX_TOKENS: usize = 1_000;
/// Users of one cluster.
pub const MAX_USERS: usize = 1_000;
/// Bytes one object may take in the log. Sizes are estimated from above: text, and a fixed cost per field.
pub const MAX_OBJECT_BYTES: usize = 8 * 1024;
/// Endpoints one command may ask for: the networks one sandbox is on.
pub const MAX_ENDPOINTS_PER_COMMAND: usize = 32;
/// Endpoint ids one command may release; callers with more send several commands.
pub const MAX_RELEASES_PER_COMMAND: usize = 256;

/// How long a released address rests before it is given out unasked: thirty times what the other hosts may take to forget
/// its old place, and short enough that a /24 bears eighty short-lived sandboxes a second.
pub const REST_MS: u64 = 3_000;
/// Replies kept for requests that are asked again.
pub const MAX_REMEMBERED: usize = 10_000;
/// How long a reply is kept.
pub const REMEMBER_MS: u64 = 10 * 60_000;
/// The most that the internal clock advances between two entries (see `clock`); above `REST_MS` so that an idle
/// hour does end every rest.
pub const MAX_STEP_MS: u64 = 60_000;

/// RFC 1035 §2.3.4: a full host name.
pub const MAX_HOSTNAME_BYTES: usize = 253;
pub const MAX_VERSION_BYTES: usize = 64;
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// How many users of a network a refusal names.
pub const MAX_USERS_NAMED: usize = 10;
/// How long a token that admits nobody any more is kept, so that who shows it is told why.
pub const ENDED_TOKEN_MS: u64 = 7 * 24 * 3_600_000;
