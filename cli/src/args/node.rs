//! `node …` as typed.

use super::output::{FORMAT_LONG_NODES, InspectOutput, ListOutput};
use super::swarm::{AvailabilityArg, RoleArg};
use super::values::{label, reference};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List the nodes of the cluster
    #[command(visible_alias = "list")]
    Ls(NodeLsArgs),
    /// Show nodes in full
    Inspect(NodeInspectArgs),
    /// Make nodes managers
    Promote(NodesArgs),
    /// Make managers workers again
    Demote(NodesArgs),
    /// Remove nodes that are down, and what they hold, from the cluster
    #[command(visible_alias = "remove")]
    Rm(NodeRmArgs),
    /// Change a node's availability, labels or role
    Update(NodeUpdateArgs),
    /// List the endpoints on nodes
    Ps(NodePsArgs),
}

#[derive(Debug, Args)]
pub struct NodesArgs {
    /// Names or ids; `self` is this node
    #[arg(value_name = "NODE", required = true, value_parser = reference)]
    pub nodes: Vec<String>,
}

#[derive(Debug, Args)]
pub struct NodeRmArgs {
    /// Also a node that is not down: its sandboxes lose their networks
    #[arg(short, long)]
    pub force: bool,
    /// Names or ids; `self` is this node
    #[arg(value_name = "NODE", required = true, value_parser = reference)]
    pub nodes: Vec<String>,
}

#[derive(Debug, Args)]
pub struct NodeUpdateArgs {
    /// Whether endpoints may be placed on it; what is there stays, also while it drains
    #[arg(long, value_enum)]
    pub availability: Option<AvailabilityArg>,
    /// Add a label, or change its value (may be repeated)
    #[arg(long = "label-add", value_name = "KEY=VALUE", value_parser = label)]
    pub label_add: Vec<(String, String)>,
    /// Take a label away (may be repeated)
    #[arg(long = "label-rm", value_name = "KEY")]
    pub label_rm: Vec<String>,
    /// Promote or demote it
    #[arg(long, value_enum)]
    pub role: Option<RoleArg>,
    /// Refuse if the node was changed since it had this Revision (see `node inspect`)
    #[arg(long, value_name = "REVISION")]
    pub if_revision: Option<u64>,
    /// A name or id; `self` is this node
    #[arg(value_name = "NODE", value_parser = reference)]
    pub node: String,
}

impl NodeUpdateArgs {
    pub fn changes_nothing(&self) -> bool {
        self.availability.is_none()
            && self.role.is_none()
            && self.label_add.is_empty()
            && self.label_rm.is_empty()
    }
}

#[derive(Debug, Args)]
pub struct NodePsArgs {
    #[command(flatten)]
    pub output: ListOutput,
    /// Names or ids; `self` (the default) is this node
    #[arg(value_name = "NODE", value_parser = reference)]
    pub nodes: Vec<String>,
}

#[derive(Debug, Args)]
#[command(mut_arg("format", |format| format.long_help(FORMAT_LONG_NODES)))]
pub struct NodeLsArgs {
    /// Show only nodes with id=, name=, role=, label= or membership= (may be repeated)
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = label)]
    pub filters: Vec<(String, String)>,
    #[command(flatten)]
    pub output: ListOutput,
}

#[derive(Debug, Args)]
pub struct NodeInspectArgs {
    /// Show for people instead of JSON
    #[arg(long, conflicts_with_all = ["format", "quiet"])]
    pub pretty: bool,
    #[command(flatten)]
    pub output: InspectOutput,
    /// Names or ids; `self` is this node
    #[arg(value_name = "NODE", required = true, value_parser = reference)]
    pub nodes: Vec<String>,
}
