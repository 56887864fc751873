//! Verbs about membership of the cluster.

pub mod backup;
pub mod info;
pub mod init;
pub mod join;
pub mod join_token;
pub mod leave;
pub mod rejoin;
pub mod restore;
pub mod unlock;
pub mod unlock_key;
pub mod update;

use crate::args::swarm::{AvailabilityArg, RoleArg};
use crate::error::CliError;
use ipnet::{Ipv4Net, Ipv6Net};
use std::net::Ipv6Addr;
use swarm_model::{ClusterSettings, SettingsChange};
use swarm_proto::v1;

impl From<AvailabilityArg> for v1::Availability {
    fn from(arg: AvailabilityArg) -> Self {
        match arg {
            AvailabilityArg::Active => Self::Active,
            AvailabilityArg::Pause => Self::Pause,
            AvailabilityArg::Drain => Self::Drain,
        }
    }
}

impl From<RoleArg> for v1::Role {
    fn from(arg: RoleArg) -> Self {
        match arg {
            RoleArg::Worker => Self::Worker,
            RoleArg::Manager => Self::Manager,
        }
    }
}

/// Those of a cluster for which nothing else was asked: what is typed is judged in their midst, by the cluster's own rules.
fn default_settings() -> ClusterSettings {
    let pool: Result<Ipv4Net, _> = ClusterSettings::DEFAULT_POOL.parse();
    ClusterSettings::with_defaults(pool.into_iter().collect(), Ipv6Net::from(Ipv6Addr::UNSPECIFIED))
}

/// Settings that no cluster can have are a slip of the one who types, as they are at `init`.
pub fn check(change: &SettingsChange) -> Result<(), CliError> {
    change.on(&default_settings()).check_asked().map_err(|e| CliError::Usage(e.to_string()))
}

/// `3 nodes, 2 networks and 7 endpoints`.
fn contents(backup: &v1::BackupSummary) -> String {
    let count = |number: u32, what: &str| match number {
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    };
    let (nodes, networks) = (count(backup.nodes, "node"), count(backup.networks, "network"));
    format!("{nodes}, {networks} and {}", count(backup.endpoints, "endpoint"))
}

/// The line that is typed on the host that shall join.
fn join_command(token: &str, manager: &str) -> String {
    format!("    swarmctl join --token {token} {manager}\n")
}
