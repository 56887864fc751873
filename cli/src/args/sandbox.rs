//! `run`, `attach`, `detach`, `ps`, `rm` and `exec` as typed.

use super::output::ListOutput;
use super::values::{env, hostname, reference};
use clap::Args;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use swarm_model::{DnsName, MacAddr};

#[derive(Debug, Args)]
#[command(after_help = "Example: swarmctl run --network my_net --name web -- python3 -m http.server 80")]
pub struct RunArgs {
    /// Name of the sandbox, also on its networks [default: its id]
    #[arg(long)]
    pub name: Option<DnsName>,
    /// Network to be on (may be repeated; the first one is eth0)
    #[arg(long = "network", value_name = "NETWORK", value_parser = reference)]
    pub networks: Vec<String>,
    /// Address on the first network [default: any free one]
    #[arg(long, requires = "networks")]
    pub ip: Option<IpAddr>,
    /// Further name on the first network (may be repeated)
    #[arg(long = "alias", value_name = "NAME", requires = "networks")]
    pub aliases: Vec<DnsName>,
    /// Host name inside [default: the sandbox's name]
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    pub hostname: Option<String>,
    /// Run in the background and print the sandbox's id
    #[arg(short, long)]
    pub detach: bool,
    /// Set an environment variable (may be repeated)
    #[arg(short, long = "env", value_name = "KEY=VALUE", value_parser = env)]
    pub env: Vec<(String, String)>,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: ip netns add blue && swarmctl attach --network my_net --name blue --netns blue"
)]
pub struct AttachArgs {
    /// Network to be on
    #[arg(long, value_parser = reference)]
    pub network: String,
    /// Name of the sandbox, also on the network
    #[arg(long)]
    pub name: DnsName,
    #[command(flatten)]
    pub namespace: NamespaceArgs,
    /// Address on the network [default: any free one]
    #[arg(long)]
    pub ip: Option<IpAddr>,
    /// Hardware address [default: derived from the address]
    #[arg(long)]
    pub mac: Option<MacAddr>,
    /// Further name on the network (may be repeated)
    #[arg(long = "alias", value_name = "NAME")]
    pub aliases: Vec<DnsName>,
    /// Name of the interface inside [default: the first free ethN]
    #[arg(long)]
    pub ifname: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct NamespaceArgs {
    /// Path of the network namespace, or a name under /run/netns
    #[arg(long, value_name = "PATH|NAME")]
    pub netns: Option<PathBuf>,
    /// A process in the network namespace
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
}

#[derive(Debug, Args)]
pub struct DetachArgs {
    /// Name or id
    #[arg(value_name = "SANDBOX", value_parser = reference)]
    pub sandbox: String,
}

#[derive(Debug, Args)]
pub struct PsArgs {
    /// Show sandboxes that do not run too
    #[arg(short, long)]
    pub all: bool,
    /// Do not shorten ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    #[command(flatten)]
    pub output: ListOutput,
}

#[derive(Debug, Args)]
pub struct RmArgs {
    /// End the command if it runs
    #[arg(short, long)]
    pub force: bool,
    /// Names or ids
    #[arg(value_name = "SANDBOX", required = true, value_parser = reference)]
    pub sandboxes: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Set an environment variable (may be repeated)
    #[arg(short, long = "env", value_name = "KEY=VALUE", value_parser = env)]
    pub env: Vec<(String, String)>,
    /// Name or id
    #[arg(value_name = "SANDBOX", value_parser = reference)]
    pub sandbox: String,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}
