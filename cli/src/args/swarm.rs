//! `init`, `join`, `join-token`, `leave`, `rejoin`, `backup`, `restore`, `unlock`, `unlock-key`, `update` and `info` as
//! typed.

use super::output::{ListOutput, OneOutput};
use super::values::{address, count, duration_ms, label, manager, reference};
use clap::{ArgAction, Args, Subcommand, ValueEnum};
use ipnet::Ipv4Net;
use std::path::PathBuf;

/// Where this node is reached.
#[derive(Debug, Args)]
pub struct AddressArgs {
    /// How other nodes reach this one [default: the only address this host has, port 2377]
    #[arg(long, value_name = "IP|IFACE[:PORT]", value_parser = address)]
    pub advertise_addr: Option<String>,
    /// Where a manager listens [default: every address, and the advertised port]
    #[arg(long, value_name = "IP|IFACE[:PORT]", value_parser = address)]
    pub listen_addr: Option<String>,
    /// Source address of network traffic between nodes [default: the advertised address]
    #[arg(long, value_name = "IP|IFACE", value_parser = address)]
    pub data_path_addr: Option<String>,
    /// Whether endpoints may be placed on this node
    #[arg(long, value_enum, default_value = "active")]
    pub availability: AvailabilityArg,
    /// Label of this node (may be repeated)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AvailabilityArg {
    Active,
    Pause,
    Drain,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    pub addresses: AddressArgs,
    /// UDP port of network traffic between nodes, 1024 to 49151 [default: 4789]
    #[arg(long, value_name = "N")]
    pub data_path_port: Option<u16>,
    /// Pool that subnets are cut from (may be repeated) [default: 10.0.0.0/8]
    #[arg(long = "default-addr-pool", value_name = "CIDR")]
    pub default_addr_pools: Vec<Ipv4Net>,
    /// Prefix length of the subnets cut from the pools, 16 to 30 [default: 24]
    #[arg(long, value_name = "N")]
    pub default_addr_pool_mask_length: Option<u8>,
    /// Validity of node certificates [default: 2160h]
    #[arg(long, value_name = "DUR", value_parser = duration_ms)]
    pub cert_expiry: Option<u64>,
    /// How often nodes tell their manager that they live [default: 1500ms]
    #[arg(long, value_name = "DUR", value_parser = duration_ms)]
    pub dispatcher_heartbeat: Option<u64>,
    /// Log entries between two Raft snapshots, 1 to 1000000 [default: 10000]
    #[arg(long, value_name = "N", value_parser = count::<u64>)]
    pub snapshot_interval: Option<u64>,
    /// Old Raft snapshots kept, 0 to 100 [default: 0]
    #[arg(long, value_name = "N", value_parser = count::<u32>)]
    pub max_snapshots: Option<u32>,
    /// Lock the managers' files: one that was restarted needs the unlock key, which is printed
    #[arg(long)]
    pub autolock: bool,
    /// On a manager whose peers are lost for good: go on alone with everything it knows
    #[arg(long, conflicts_with_all = [
        "listen_addr", "data_path_addr", "labels", "data_path_port", "default_addr_pools",
        "default_addr_pool_mask_length", "cert_expiry", "dispatcher_heartbeat", "snapshot_interval", "max_snapshots",
        "autolock",
    ])]
    pub force_new_cluster: bool,
}

#[derive(Debug, Args)]
pub struct JoinArgs {
    #[command(flatten)]
    pub token: TokenArgs,
    #[command(flatten)]
    pub addresses: AddressArgs,
    /// Managers of the cluster, tried in turn
    #[arg(value_name = "HOST:PORT", required = true, value_parser = manager)]
    pub managers: Vec<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TokenArgs {
    /// The join token, as `swarmctl join-token` on a manager prints it
    #[arg(long)]
    pub token: Option<String>,
    /// Read the join token from a file, or from standard input with -
    #[arg(long, value_name = "FILE|-")]
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct JoinTokenArgs {
    /// Replace the token; the old one admits nobody any more
    #[arg(long)]
    pub rotate: bool,
    /// Print the token only
    #[arg(short, long)]
    pub quiet: bool,
    /// The role it gives
    #[arg(value_enum, required = true)]
    pub role: Option<RoleArg>,
    #[command(subcommand)]
    pub command: Option<TokenCommand>,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token that ends by itself; it is shown this once
    Create(TokenCreateArgs),
    /// List the tokens made by `create`, and who used them
    #[command(visible_alias = "list")]
    Ls(TokenLsArgs),
    /// End tokens made by `create`; nodes that joined with them stay
    Revoke(TokenRevokeArgs),
}

#[derive(Debug, Args)]
pub struct TokenCreateArgs {
    /// The role it gives
    #[arg(long, value_enum)]
    pub role: RoleArg,
    /// How long it admits nodes, 10s to 10 years [default: until it is used up or revoked]
    #[arg(long, value_name = "DUR", value_parser = duration_ms)]
    pub ttl: Option<u64>,
    /// How many nodes it admits [default: any number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: Option<u32>,
    /// Label of every node that joins with it (may be repeated)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Print the token only
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct TokenLsArgs {
    #[command(flatten)]
    pub output: ListOutput,
}

#[derive(Debug, Args)]
pub struct TokenRevokeArgs {
    /// Ids, as `join-token ls` lists them
    #[arg(value_name = "ID", required = true, value_parser = reference)]
    pub tokens: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    Worker,
    Manager,
}

#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// Leave even when this loses the cluster's state or its quorum
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RejoinArgs {
    /// How other nodes reach this one from now on [default: as it was typed before]
    #[arg(long, value_name = "IP|IFACE[:PORT]", value_parser = address)]
    pub advertise_addr: Option<String>,
    /// Where other managers of the cluster are now; one that answers is enough
    #[arg(value_name = "HOST:PORT", required = true, value_parser = manager)]
    pub managers: Vec<String>,
}

#[derive(Debug, Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from a file, or from standard input with - [default: ask for it]
    #[arg(long, value_name = "FILE|-")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Replace the file if it exists
    #[arg(short, long)]
    pub force: bool,
    /// Where to; - is standard output
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub addresses: AddressArgs,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The backup; - is standard input
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// Read the unlock key from a file, or from standard input with - [default: ask for it]
    #[arg(long, value_name = "FILE|-")]
    pub key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct UnlockKeyArgs {
    /// Replace the key; managers that are away need the old one until they have heard of it
    #[arg(long)]
    pub rotate: bool,
    /// Print the key only
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
#[group(id = "setting", required = true, multiple = true)]
pub struct UpdateArgs {
    /// Whether a manager that was restarted needs the unlock key
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    pub autolock: Option<bool>,
    /// Validity of node certificates from the next renewal of each node on, 1h to 10 years
    #[arg(long, value_name = "DUR", value_parser = duration_ms)]
    pub cert_expiry: Option<u64>,
    /// How long after its end a certificate still gets its node a new one, 0s to 10 years; at init it is 30d
    #[arg(long, value_name = "DUR", value_parser = duration_ms)]
    pub cert_grace: Option<u64>,
    /// How often nodes tell their manager that they live, from the next session of each node on, 100ms to 60s
    #[arg(long, value_name = "DUR", value_parser = duration_ms)]
    pub dispatcher_heartbeat: Option<u64>,
    /// How often the secrets of encrypted networks and of nodes' own talk are renewed, 10s to 30 days; at init it is 12h
    #[arg(long, value_name = "DUR", value_parser = duration_ms)]
    pub key_rotation: Option<u64>,
    /// Log entries between two Raft snapshots on each manager, 1 to 1000000; without --snapshot-interval at init it is 10000
    #[arg(long, value_name = "N", value_parser = count::<u64>)]
    pub snapshot_interval: Option<u64>,
    /// Old Raft snapshots kept on each manager, 0 to 100; without --max-snapshots at init it is 0
    #[arg(long, value_name = "N", value_parser = count::<u32>)]
    pub max_snapshots: Option<u32>,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    pub output: OneOutput,
}
