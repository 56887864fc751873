//! `network …` as typed.

use super::output::{InspectOutput, ListOutput};
use super::values::{aux_address, label, reference};
use clap::{Args, Subcommand};
use ipnet::IpNet;
use std::net::IpAddr;
use swarm_model::{DnsName, Driver};

#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Create a network
    Create(NetworkCreateArgs),
    /// List networks; works on workers too
    #[command(visible_alias = "list")]
    Ls(NetworkLsArgs),
    /// Show networks in full
    Inspect(NetworkInspectArgs),
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm(NetworkRmArgs),
    /// Remove all networks that nothing uses
    Prune(NetworkPruneArgs),
    /// Connect a sandbox of this host to a further network
    Connect(ConnectArgs),
    /// Disconnect a sandbox of this host from a network
    Disconnect(DisconnectArgs),
}

#[derive(Debug, Args)]
pub struct NetworkCreateArgs {
    /// How it is built: overlay, bridge or macvlan
    #[arg(short, long, default_value = "overlay")]
    pub driver: Driver,
    /// Let sandboxes be attached by hand (run, attach, connect)
    #[arg(long)]
    pub attachable: bool,
    /// No way out: no default route, no forwarding of names
    #[arg(long)]
    pub internal: bool,
    /// Give endpoints an IPv6 address too
    #[arg(long)]
    pub ipv6: bool,
    /// Subnet (may be repeated) [default: cut from the cluster's pools]
    #[arg(long = "subnet", value_name = "CIDR")]
    pub subnets: Vec<IpNet>,
    /// Gateway of the subnet it lies in (may be repeated) [default: the first address]
    #[arg(long = "gateway", value_name = "IP")]
    pub gateways: Vec<IpAddr>,
    /// Part of the subnet that endpoints get addresses from (may be repeated)
    #[arg(long = "ip-range", value_name = "CIDR")]
    pub ip_ranges: Vec<IpNet>,
    /// Address never given to an endpoint (may be repeated)
    #[arg(long = "aux-address", value_name = "NAME=IP", value_parser = aux_address)]
    pub aux_addresses: Vec<(String, IpAddr)>,
    /// encrypted, mtu=N, vni=N or another option of the driver (may be repeated)
    #[arg(short, long = "opt", value_name = "KEY=VALUE", value_parser = label)]
    pub options: Vec<(String, String)>,
    /// Label (may be repeated)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Its name: up to 63 letters, digits, '-' and '_'
    pub name: DnsName,
}

#[derive(Debug, Args)]
pub struct NetworkLsArgs {
    /// Show only networks with id=, name=, driver=, scope= or label= (may be repeated)
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = label)]
    pub filters: Vec<(String, String)>,
    /// Do not shorten ids
    #[arg(long)]
    pub no_trunc: bool,
    #[command(flatten)]
    pub output: ListOutput,
}

#[derive(Debug, Args)]
pub struct NetworkInspectArgs {
    /// Show the endpoints of all nodes, not of this one alone
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    pub output: InspectOutput,
    /// Names or ids
    #[arg(value_name = "NETWORK", required = true, value_parser = reference)]
    pub networks: Vec<String>,
}

#[derive(Debug, Args)]
pub struct NetworkRmArgs {
    /// Do not mind networks that do not exist
    #[arg(short, long)]
    pub force: bool,
    /// Names or ids
    #[arg(value_name = "NETWORK", required = true, value_parser = reference)]
    pub networks: Vec<String>,
}

#[derive(Debug, Args)]
pub struct NetworkPruneArgs {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Address on the network [default: any free one]
    #[arg(long)]
    pub ip: Option<IpAddr>,
    /// Further name on the network (may be repeated)
    #[arg(long = "alias", value_name = "NAME")]
    pub aliases: Vec<DnsName>,
    /// Name or id
    #[arg(value_parser = reference)]
    pub network: String,
    /// Name or id of a sandbox of this host
    #[arg(value_parser = reference)]
    pub target: String,
}

#[derive(Debug, Args)]
pub struct DisconnectArgs {
    /// Disconnect even if the sandbox or its network cannot be reached any more
    #[arg(short, long)]
    pub force: bool,
    /// Name or id
    #[arg(value_parser = reference)]
    pub network: String,
    /// Name or id of a sandbox of this host
    #[arg(value_parser = reference)]
    pub target: String,
}
