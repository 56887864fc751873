//! What was typed. Knows flags and their syntax; must not know what a verb does or how an answer is printed.

pub mod cluster;
pub mod events;
pub mod habits;
pub mod network;
pub mod node;
pub mod output;
pub mod sandbox;
pub mod swarm;
pub mod user;
pub mod values;

use crate::error::CliError;
use clap::parser::ValueSource;
use clap::{ArgMatches, Parser, Subcommand};
use std::path::PathBuf;
use values::Host;

/// Networks across hosts: the command line of swarmd.
#[derive(Debug, Parser)]
#[command(name = "swarmctl", version, about, max_term_width = 110)]
#[command(subcommand_required = true, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// The daemon's local socket, or a manager to be asked with --identity
    #[arg(
        short = 'H', long, global = true, env = "SWARM_HOST", value_name = "unix://PATH|tcp://HOST:PORT", hide_env_values = true, display_order = 900,
        default_value = "unix:///run/swarmd/swarmd.sock", value_parser = values::host
    )]
    pub host: values::Host,
    /// The identity to show to a manager at tcp://, as `swarmctl user create` makes it
    #[arg(
        long,
        global = true,
        env = "SWARM_IDENTITY",
        value_name = "FILE",
        hide_env_values = true,
        display_order = 901
    )]
    pub identity: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// # Errors
    /// An identity was typed for the local daemon, which asks for none: what was meant is done by somebody else than was
    /// thought. One that stands in the environment of a whole shell is only not used.
    pub fn check(&self, matches: &ArgMatches) -> Result<(), CliError> {
        let typed = matches.value_source("identity") == Some(ValueSource::CommandLine);
        match self.host {
            Host::Socket(_) if typed => Err(CliError::Usage(
                "--identity is for a manager at tcp://, and the local daemon asks for none: add -H tcp://HOST:PORT, or leave \
                 it out"
                    .into(),
            )),
            Host::Socket(_) | Host::Manager(_) => Ok(()),
        }
    }
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unavailable or timed out, 5 refused.
run and exec pass the command's own exit code on; 125: run failed itself, 126: the command cannot be executed, \
127: it was not found.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this host the first manager of a new cluster
    Init(swarm::InitArgs),
    /// Make this host a member of a cluster
    Join(swarm::JoinArgs),
    /// Show, rotate, make and revoke the tokens that admit new members
    JoinToken(swarm::JoinTokenArgs),
    /// People and programs that may speak to managers from outside
    #[command(subcommand)]
    User(user::UserCommand),
    /// Leave the cluster; sandboxes of this host end
    Leave(swarm::LeaveArgs),
    /// Say where another member is found, after addresses changed everywhere
    Rejoin(swarm::RejoinArgs),
    /// Save the whole cluster in one encrypted file, while everything goes on
    Backup(swarm::BackupArgs),
    /// Make this host the only manager of the cluster in a backup
    Restore(swarm::RestoreArgs),
    /// Open a locked manager with the unlock key
    Unlock(swarm::UnlockArgs),
    /// Show or rotate the key that unlocks managers after a restart
    UnlockKey(swarm::UnlockKeyArgs),
    /// Change settings of the cluster
    Update(swarm::UpdateArgs),
    /// Show or replace the cluster's root CA
    Ca(cluster::CaArgs),
    /// Show this node, and the cluster as this node sees it
    Info(swarm::InfoArgs),
    /// Show what happens in the cluster, as it happens
    Events(events::EventsArgs),
    /// Nodes of the cluster
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Networks of the cluster
    #[command(subcommand)]
    Network(network::NetworkCommand),
    /// Run a command in network, mount and UTS namespaces of its own
    Run(sandbox::RunArgs),
    /// Attach an existing network namespace to a network
    Attach(sandbox::AttachArgs),
    /// Take a namespace off its networks again
    Detach(sandbox::DetachArgs),
    /// List this host's sandboxes
    Ps(sandbox::PsArgs),
    /// Remove a sandbox
    Rm(sandbox::RmArgs),
    /// Run a further command in a sandbox
    Exec(sandbox::ExecArgs),
}

#[cfg(test)]
mod tests;
